package main

import (
	"strings"
	"testing"
)

func TestVerdicts(t *testing.T) {
	more, less := goal{gate: 1, target: 1.5}, goal{gate: 0.75, target: 0.5, atMost: true}
	for _, c := range []struct {
		g    goal
		v    float64
		want string
	}{{more, 0.99, "MISSED"}, {more, 1, "gate"}, {more, 1.5, "target"}, {less, 0.76, "MISSED"}, {less, 0.75, "gate"}, {less, 0.5, "target"}} {
		if got := c.g.verdict(c.v); got != c.want {
			t.Errorf("%v of %+v: %s, want %s", c.v, c.g, got, c.want)
		}
	}
}

// TestEveryGoalIsMeasured fills in every figure of every case: a goal that then has no value names a case, a system or a figure that is not there.
func TestEveryGoalIsMeasured(t *testing.T) {
	r := &results{rounds: map[string]map[string]map[string][]float64{}, void: map[string]int{}, absent: map[string]bool{}}
	for _, c := range trials {
		for _, s := range c.systems {
			if makers[s] == nil {
				t.Errorf("%s names the system %s, which there is not", c.name, s)
			}
			for i := range 3 {
				f := figures{}
				for _, name := range figureOrder {
					f[name] = float64(2 * (i + 1))
				}
				r.add(c.name, s, f)
			}
		}
	}
	for _, g := range goals {
		if v, ok := g.value(r); !ok || v != 1 && v != 4 {
			t.Errorf("%s, %s: %v, %v", g.id, g.what, v, ok)
		}
		if g.atMost != (g.target <= g.gate) && g.target != g.gate {
			t.Errorf("%s, %s: the target is easier than the gate", g.id, g.what)
		}
	}
}

func TestSystemsTurnAround(t *testing.T) {
	c := trial{systems: []string{"isobar", "diy", "mosquitto"}}
	for _, x := range []struct {
		o     options
		round int
		want  string
	}{
		{options{}, 0, "isobar diy mosquitto"}, {options{}, 1, "mosquitto diy isobar"}, {options{only: "diy"}, 0, "diy"},
		{options{against: "old"}, 0, "isobar against"}, {options{against: "old"}, 3, "against isobar"},
	} {
		if got := strings.Join(x.o.systemsOf(c, x.round), " "); got != x.want {
			t.Errorf("%+v, round %d: %s", x.o, x.round, got)
		}
	}
}

func TestLines(t *testing.T) {
	b, err := appendLine(nil, []byte("T,d=0001 v=20.1 1764348465123456789"))
	if err != nil || string(b) != "T,d=0001 v=20.1 1764348465123456789\n" {
		t.Errorf("%q %v", b, err)
	}
	if _, err := appendLine(nil, []byte("no line")); err == nil {
		t.Error("what is no line was passed on")
	}
	b, err = appendJSON(nil, []byte("bench/0001"), []byte(`{"T":20.1,"time":1764348465123456789}`))
	if err != nil || string(b) != "T,d=0001 v=20.1 1764348465123456789\n" {
		t.Errorf("%q %v", b, err)
	}
}
