package app

import (
	"context"

	"github.com/isobar-iot/isobar/governance/changes"
	"github.com/isobar-iot/isobar/governance/changes/changessql"
)

// startChanges makes the change log. Components add their kinds when they start.
func startChanges(_ context.Context, p *parts) (stopFunc, error) {
	p.changes = changes.New(changes.Deps{Store: changessql.New(p.db), Bus: p.bus, Clock: p.clock})
	return nil, nil
}
