package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// results are all rounds: by case, system and figure. Void rounds are only counted.
type results struct {
	rounds map[string]map[string]map[string][]float64
	void   map[string]int // by case and system
	absent map[string]bool
}

func (r *results) add(trial, system string, f figures) {
	if r.rounds[trial] == nil {
		r.rounds[trial] = map[string]map[string][]float64{}
	}
	if r.rounds[trial][system] == nil {
		r.rounds[trial][system] = map[string][]float64{}
	}
	for k, v := range f {
		r.rounds[trial][system][k] = append(r.rounds[trial][system][k], v)
	}
}

// median returns the median of a figure; ok is false if no round has found it.
func (r *results) median(trial, system, figure string) (v float64, ok bool) {
	all := slices.Sorted(slices.Values(r.rounds[trial][system][figure]))
	if len(all) == 0 {
		return 0, false
	}
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2, true
}

// run measures and prints.
func (o *options) run(ctx context.Context, names string) error {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	for name := range strings.SplitSeq(o.only, ",") {
		if makers[name] == nil && name != "" {
			return fmt.Errorf("there is no system %q; -list shows them", name)
		}
	}
	dir, err := os.MkdirTemp("", "isobar-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := &results{rounds: map[string]map[string]map[string][]float64{}, void: map[string]int{}, absent: map[string]bool{}}
	began := time.Now()
	for round := range o.rounds {
		for _, t := range chosen {
			for _, name := range o.systemsOf(t, round) {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := o.once(ctx, r, t, name, filepath.Join(dir, fmt.Sprint(round, t.name, name))); err != nil {
					return fmt.Errorf("%s, %s: %w", t.name, name, err)
				}
			}
		}
		fmt.Fprintf(os.Stderr, "round %d of %d, %s\n", round+1, o.rounds, time.Since(began).Round(time.Second))
	}
	for _, t := range chosen {
		o.print(r, t)
	}
	if o.against == "" {
		printGoals(r)
	}
	return o.save(r)
}

// once starts a system, runs a case on it and ends it.
func (o *options) once(ctx context.Context, r *results, t trial, name, dir string) error {
	if r.absent[name] {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := makers[name](o, dir)
	if errors.Is(err, errAbsent) {
		fmt.Fprintf(os.Stderr, "%s is left out: %v\n", name, err)
		r.absent[name] = true
		return nil
	}
	if err != nil {
		return err
	}
	defer s.stop()
	f, err := t.run(ctx, o, s)
	if err != nil {
		return err
	}
	if f[fCores] > o.void {
		fmt.Fprintf(os.Stderr, "%s, %s: void, the generator used %.2f cores\n", t.name, name, f[fCores])
		r.void[t.name+" "+name]++
		return nil
	}
	r.add(t.name, name, f)
	return nil
}

func choose(names string) ([]trial, error) {
	if names == "" {
		return trials, nil
	}
	var out []trial
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(trials, func(t trial) bool { return t.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no case %q; -list shows them", name)
		}
		out = append(out, trials[i])
	}
	return out, nil
}

// systemsOf returns the systems of a case in the order of a round: every other round from the back.
func (o *options) systemsOf(t trial, round int) []string {
	var out []string
	switch {
	case o.against != "":
		for _, name := range t.systems {
			if name == "isobar" || name == "isobar-2ms" {
				out = append(out, name, strings.Replace(name, "isobar", "against", 1))
			}
		}
	case o.only != "":
		for _, name := range t.systems {
			if slices.Contains(strings.Split(o.only, ","), name) {
				out = append(out, name)
			}
		}
	default:
		out = slices.Clone(t.systems)
	}
	if round%2 == 1 {
		slices.Reverse(out)
	}
	return out
}

// print prints the medians of a case, and with two binaries the ratios between them.
func (o *options) print(r *results, t trial) {
	fmt.Printf("\n%s: %s\n", t.name, t.what)
	var columns []string
	systems := o.systemsOf(t, 0)
	for _, f := range figureOrder {
		if slices.ContainsFunc(systems, func(s string) bool { _, ok := r.median(t.name, s, f); return ok }) {
			columns = append(columns, f)
		}
	}
	fmt.Printf("%-14s", "")
	for _, c := range columns {
		fmt.Printf("%18s", c)
	}
	fmt.Println()
	for _, s := range systems {
		fmt.Printf("%-14s", s)
		for _, c := range columns {
			v, ok := r.median(t.name, s, c)
			fmt.Printf("%18s", number(v, ok))
		}
		if n := r.void[t.name+" "+s]; n > 0 {
			fmt.Printf("   %d void", n)
		}
		if r.absent[s] {
			fmt.Print("   not installed")
		}
		fmt.Println()
	}
	if o.against == "" || len(systems) != 2 {
		return
	}
	fmt.Printf("%-14s", "ratio")
	for _, c := range columns {
		a, _ := r.median(t.name, systems[0], c)
		b, ok := r.median(t.name, systems[1], c)
		fmt.Printf("%18s", number(a/b, ok && b != 0))
	}
	fmt.Println()
}

func number(f float64, ok bool) string {
	switch {
	case !ok:
		return "-"
	case f == float64(int64(f)) && f < 1000:
		return fmt.Sprintf("%.0f", f)
	case f >= 1000:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	if f != 0 && f < 0.1 {
		return fmt.Sprintf("%.4f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (o *options) save(r *results) error {
	if o.json == "" {
		return nil
	}
	b, err := json.MarshalIndent(map[string]any{"rounds": r.rounds, "void": r.void}, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, b, 0o644)
}

func listCases() {
	fmt.Println("cases:")
	for _, t := range trials {
		fmt.Printf("  %-10s %s\n  %-10s   %s\n", t.name, t.what, "", strings.Join(t.systems, ", "))
	}
	fmt.Println("systems:")
	for _, s := range systemNames {
		fmt.Printf("  %-12s %s\n", s.name, s.what)
	}
}
