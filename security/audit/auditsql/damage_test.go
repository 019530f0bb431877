package auditsql_test

import (
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/security/audit"
)

// TestWhatIsAppendedDoesNotCoverUpDamage tampers, then lets the server write and sign on top of it.
func TestWhatIsAppendedDoesNotCoverUpDamage(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		for _, c := range []struct {
			name    string
			running bool // while the server runs
			tamper  []string
			says    string
		}{
			{"the newest records cut while it is stopped", false, []string{`DELETE FROM audit_entry WHERE seq > 8`, `UPDATE audit_head SET seq = 8, hash = (SELECT hash FROM audit_entry WHERE seq = 8)`}, "the head at record 8 is not ours"},
			{"everything deleted while it is stopped", false, []string{`DELETE FROM audit_entry`, `DELETE FROM audit_head`}, "the database has no records"},
			{"the newest records cut while it runs", true, []string{`DELETE FROM audit_entry WHERE seq > 8`, `UPDATE audit_head SET seq = 8, hash = (SELECT hash FROM audit_entry WHERE seq = 8)`}, "and then at record 8"},
			{"everything deleted while it runs", true, []string{`DELETE FROM audit_entry`, `DELETE FROM audit_head`}, "and then at record 0"},
		} {
			e := newEnv(t, e.postgres)
			e.start()
			for i := range 12 {
				e.record("acme", i)
			}
			if !c.running {
				e.stop()
			}
			raw := e.raw()
			for _, s := range c.tamper {
				_, err := raw.Exec(s)
				e.must(err)
			}
			e.must(raw.Close())
			if !c.running {
				e.start()
			}
			for i := range 12 { // beyond the numbers that were there
				e.record("acme", i)
			}
			e.stop()
			r := e.verify()
			if r.Good() || !strings.Contains(r.String(), c.says) {
				t.Errorf("%s: not found, or it does not say %q:\n%s", c.name, c.says, r)
			}
			before := e.trailText()
			e.start() // the same damage is noted once
			e.stop()
			if after := e.trailText(); strings.Count(after, "note") != strings.Count(before, "note") {
				t.Errorf("%s: noted again:\n%s", c.name, after)
			}
		}
	})
}

// TestAnOlderStateThatWasPutBackIsFound puts back records together with the head that was true then, as from a backup.
func TestAnOlderStateThatWasPutBackIsFound(t *testing.T) {
	each(t, func(t *testing.T, e *env) {
		e.start()
		for i := range 5 {
			e.record("acme", i)
		}
		heads, err := e.store.Heads(ctx)
		e.must(err)
		for i := range 5 {
			e.record("acme", i)
		}
		e.stop()
		raw := e.raw()
		_, err = raw.Exec(`DELETE FROM audit_entry WHERE seq > 5`)
		e.must(err)
		var h audit.Head = heads[0]
		_, err = raw.Exec(`UPDATE audit_head SET seq = $1, hash = $2, at = $3, signature = $4`, int64(h.Seq), h.Hash[:], h.Time.UnixMilli(), h.Signature)
		e.must(err)
		e.must(raw.Close())
		e.start()
		for i := range 9 {
			e.record("acme", i)
		}
		e.stop()
		r := e.verify()
		if first := tenantOf(r, "acme").First(); first == nil || first.Seq != 10 || !strings.Contains(r.String(), "the database ends at record 5, and line 3 names record 10") {
			t.Errorf("%s", r)
		}
	})
}
