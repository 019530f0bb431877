package c8yrest

import "net/http"

// Match returns the route that a request would take.
func Match(r *http.Request) Route {
	n := router{literal: map[string]*router{}}
	for _, rt := range Routes() {
		n.add(rt)
	}
	return n.route(r)
}
