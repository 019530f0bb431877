package seriessql

import (
	"context"
	"fmt"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/iot"
)

// except adds what a query leaves out. What is left out of all sources by its shape is said by naming the other shapes: one that another node
// makes meanwhile is then not selected, instead of not left out.
func (s *Store) except(ctx context.Context, t iot.TenantID, q *series.Query, c *clauses) error {
	known, err := s.known(ctx, t, "")
	if err != nil {
		return err
	}
	spared := map[int64]bool{}
	var sources []int64
	for _, x := range q.Except {
		typed, named := sorted(known, &series.Query{Type: x.Type, Fragment: x.Fragment})
		switch {
		case x.Source == 0:
			for _, number := range named {
				spared[number] = true
			}
		case x.Type == "" && x.Fragment == "":
			sources = append(sources, int64(x.Source))
		case len(named) > 0:
			c.args = append(c.args, int64(x.Source), named)
			c.text = append(c.text, fmt.Sprintf("NOT (source = $%d AND shape = ANY($%d))", len(c.args)-1, len(c.args)))
		}
		if x.Fragment != "" && len(typed) > 0 {
			from := ""
			if x.Source != 0 {
				c.args = append(c.args, int64(x.Source))
				from = fmt.Sprintf("source = $%d AND ", len(c.args))
			}
			c.args = append(c.args, typed, x.Fragment)
			c.text = append(c.text, fmt.Sprintf("NOT (%sshape = ANY($%d) AND $%d = ANY(coalesce(members, '{}')))", from, len(c.args)-1, len(c.args)))
		}
	}
	if len(sources) > 0 {
		c.add("source <> ALL($)", sources)
	}
	rest := []int64{}
	for _, sh := range known {
		if !spared[sh.id] {
			rest = append(rest, sh.id)
		}
	}
	c.add("shape = ANY($)", rest)
	return nil
}
