package c8ymqtt

import (
	"maps"
	"slices"
	"strings"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/wire/smartrest/custom"
)

// Topics on which lines made by templates go to devices: answers and operations of SmartREST 2 (s/dc/<X>, and s/dd for the collection that the
// client id names), operations of SmartREST 1 (s/ol/<X>).
const (
	customBoard  = "s/dc/"
	defaultBoard = "s/dd"
	oneBoard     = "s/ol/"
)

// maxBoards bounds the collections that one connection uses.
const maxBoards = 100

// board reports whether a filter names the topic of one collection.
func board(filter string) bool {
	x, ok := strings.CutPrefix(filter, customBoard)
	if !ok {
		x, ok = strings.CutPrefix(filter, oneBoard)
	}
	return ok && x != "" && !strings.ContainsAny(x, "+#") || filter == defaultBoard
}

// pushes reports whether operations may come on a filter.
func pushes(filter string) bool {
	return strings.HasPrefix(filter, customBoard) || strings.HasPrefix(filter, oneBoard) || filter == defaultBoard
}

// pin remembers that the client uses a collection; false if it uses too many. c8y: bridges subscribe to s/dc/#, so that what else they do
// must say which collections that means.
func (h *handler) pin(topic string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.boards[topic]; ok {
		return true
	}
	if len(h.boards) >= maxBoards {
		return false
	}
	if h.boards == nil {
		h.boards = map[string]struct{}{}
	}
	h.boards[topic] = struct{}{}
	return true
}

// pinned returns the topics of collections that the client listens to.
func (h *handler) pinned() (out []string) {
	h.mu.Lock()
	all := slices.Sorted(maps.Keys(h.boards))
	h.mu.Unlock()
	for _, topic := range all {
		if _, ok := h.conn.SubscribedTo(topic); ok {
			out = append(out, topic)
		}
	}
	return out
}

// templateLines is what the templates of a topic make of an operation. c8y: SmartREST 1 has all of its lines in one message.
func (h *handler) templateLines(topic string, doc []byte, serial string) []string {
	if x, ok := strings.CutPrefix(topic, oneBoard); ok {
		if h.g.One == nil {
			return nil
		}
		lines, err := h.g.One.Render(h.ctx, h.p.Tenant, x, doc)
		if err != nil {
			h.g.Log.Warn("read templates", "tenant", h.p.Tenant, "collection", x, "err", err)
		}
		if len(lines) == 0 {
			return nil
		}
		return []string{strings.Join(lines, "\n")}
	}
	c := h.collection(strings.TrimPrefix(topic, customBoard), topic == defaultBoard)
	if c == nil {
		return nil
	}
	return c.Render(doc, &serial)
}

// collection returns one of SmartREST 2, nil if there is none or it cannot be read.
func (h *handler) collection(x string, byDefault bool) *custom.Collection {
	if byDefault {
		x = h.template
	}
	if h.g.Collections == nil {
		return nil
	}
	book, err := h.g.Collections.Get(h.ctx, h.p.Tenant, x)
	if err != nil {
		h.g.Log.Debug("read templates", "tenant", h.p.Tenant, "collection", x, "err", err)
		return nil
	}
	return book.Collection
}

// answer sends the lines that answer a request.
func (h *handler) answer(board string, c *custom.Collection, doc []byte) {
	for _, line := range c.Render(doc, nil) {
		h.conn.Deliver(board, []byte(line), 2, nil)
	}
}

// deepMerge merges a patch into a document, member by member where both are objects.
func deepMerge(d, patch iot.Doc) iot.Doc {
	out := append(iot.Doc(nil), d...)
	for _, m := range patch {
		below, err := iot.ParseDoc(d.Get(m.Name), iot.MaxDepth)
		change, wrong := iot.ParseDoc(m.Raw, iot.MaxDepth)
		if err == nil && wrong == nil {
			out = out.Set(m.Name, deepMerge(below, change).AppendTo(nil))
			continue
		}
		out = out.Set(m.Name, m.Raw)
	}
	return out
}
