package c8yrest

import (
	"net/http"
	"net/url"
	"strings"
)

// router finds the route of a path. A literal segment wins over a {parameter}; where both lead on, the literal is tried first.
// net/http's own patterns refuse tables like ours, in which /user/{tenant}/users and /user/roles/{role} both match one path.
type router struct {
	literal map[string]*router
	param   *router
	methods map[string]Route // at the end of a path
}

func (n *router) add(rt Route) {
	for segment := range strings.SplitSeq(strings.Trim(rt.Path, "/"), "/") {
		next := n.param
		if !strings.HasPrefix(segment, "{") {
			next = n.literal[segment]
		}
		if next == nil {
			next = &router{literal: map[string]*router{}, methods: map[string]Route{}}
			if strings.HasPrefix(segment, "{") {
				n.param = next
			} else {
				n.literal[segment] = next
			}
		}
		n = next
	}
	n.methods[rt.Method] = rt
}

// find returns the end of the path, nil if there is none.
func (n *router) find(segments []string) *router {
	if len(segments) == 0 {
		if len(n.methods) == 0 {
			return nil
		}
		return n
	}
	if next := n.literal[segments[0]]; next != nil {
		if end := next.find(segments[1:]); end != nil {
			return end
		}
	}
	if n.param != nil && segments[0] != "" {
		return n.param.find(segments[1:])
	}
	return nil
}

// end finds the end of the path of a request and its segments, nil if there is none. The path is split before it is decoded, so that an id may contain a slash.
func (n *router) end(r *http.Request) (*router, []string) {
	// Doubled and trailing slashes do not count: clients build paths by concatenation, and a redirect would lose their body.
	var segments []string
	for s := range strings.SplitSeq(r.URL.EscapedPath(), "/") {
		if s == "" {
			continue
		}
		plain, err := url.PathUnescape(s)
		if err != nil {
			return nil, nil
		}
		segments = append(segments, plain)
	}
	return n.find(segments), segments
}

// route finds the route of a request and sets its path values.
func (n *router) route(r *http.Request) Route {
	end, segments := n.end(r)
	if end == nil {
		return unknown
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	rt, ok := end.methods[method]
	if !ok {
		return notAllowed(end.methods)
	}
	for i, part := range strings.Split(strings.Trim(rt.Path, "/"), "/") {
		if strings.HasPrefix(part, "{") {
			r.SetPathValue(strings.Trim(part, "{}"), segments[i])
		}
	}
	return rt
}
