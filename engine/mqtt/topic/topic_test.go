package topic

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestValidFilter(t *testing.T) {
	for s, want := range map[string]bool{
		"": false, "a": true, "/": true, "a//b": true, "#": true, "+": true, "a/#": true, "a/+/b": true, "+/+": true, "/#": true,
		"a#": false, "a/#/b": false, "a+": false, "+a": false, "a/b+/c": false, "##": false, "a\x00": false, "\xff": false,
		"$share/g/a": true, "$share/g/#": true, "$share/g/": false, "$share/g": false, "$share//a": false, "$share/+/a": false,
		"$share/g/a#": false, "$SYS/#": true, "$shared": true,
	} {
		if got := ValidFilter(s); got != want {
			t.Errorf("ValidFilter(%q) = %v", s, got)
		}
	}
}

var matching = []struct {
	filter, name string
	want         bool
}{
	{"a/b", "a/b", true}, {"a/b", "a/b/c", false}, {"a/b/c", "a/b", false}, {"sport/#", "sport", true}, {"sport/#", "sport/a/b", true},
	{"#", "a", true}, {"#", "/", true}, {"+", "a", true}, {"+", "/a", false}, {"/+", "/a", true}, {"+/+", "/a", true}, {"a/+", "a/", true},
	{"a/+", "a", false}, {"+/#", "a", true}, {"a/+/#", "a", false}, {"a/+/#", "a/b", true}, {"#", "$SYS/x", false}, {"+/x", "$SYS/x", false},
	{"$SYS/#", "$SYS/x", true}, {"$SYS/+", "$SYS/x", true}, {"a/#", "a/$b", true}, {"A", "a", false}, {"a//b", "a//b", true}, {"a/+/b", "a//b", true},
}

func TestMatchAgreesWithTreeAndIndex(t *testing.T) {
	for _, c := range matching {
		if got := Match(c.filter, c.name); got != c.want {
			t.Errorf("Match(%q, %q) = %v", c.filter, c.name, got)
		}
		if got := treeMatches(c.filter, c.name); got != c.want {
			t.Errorf("Tree: %q, %q = %v", c.filter, c.name, got)
		}
		if got := indexMatches(c.filter, c.name); got != c.want {
			t.Errorf("Index: %q, %q = %v", c.filter, c.name, got)
		}
	}
}

func treeMatches(filter, name string) bool {
	tree := NewTree[int](nil)
	tree.Add(filter, 1, Options{})
	var m Matches[int]
	tree.Match(name, 0, &m)
	tree.Remove(filter, 1)
	if len(tree.root.children) != 0 || tree.Len() != 0 {
		panic("branch left behind")
	}
	return len(m.Hits) == 1
}

func indexMatches(filter, name string) (found bool) {
	x := NewIndex[int]()
	x.Set(name, 7)
	x.Find(filter, func(n string, v int) bool { found = n == name && v == 7; return true })
	x.Delete(name)
	if len(x.root.children) != 0 || x.Len() != 0 {
		panic("branch left behind")
	}
	return found
}

func TestOverlappingFiltersMergeToOneHit(t *testing.T) {
	tree := NewTree[string](nil)
	for i := range 40 {
		k := fmt.Sprint("k", i)
		tree.Add("a/#", k, Options{QoS: 0, ID: 1})
		tree.Add("a/+", k, Options{QoS: 2, ID: 2, RetainAsPublished: true})
		tree.Add("a/b", k, Options{QoS: 1, ID: 3})
	}
	var m Matches[string]
	for range 2 {
		tree.Match("a/b", "", &m)
		if len(m.Hits) != 40 {
			t.Fatalf("%d hits, want 40", len(m.Hits))
		}
		for _, h := range m.Hits {
			ids := append([]uint32{h.ID}, h.More...)
			slices.Sort(ids)
			if h.QoS != 2 || !h.RetainAsPublished || !slices.Equal(ids, []uint32{1, 2, 3}) {
				t.Fatalf("hit %+v", h)
			}
		}
	}
}

func TestNoLocalPassesOverTheSenderOnly(t *testing.T) {
	tree := NewTree[int](nil)
	tree.Add("a", 1, Options{NoLocal: true})
	tree.Add("a", 2, Options{NoLocal: true})
	var m Matches[int]
	tree.Match("a", 1, &m)
	if len(m.Hits) != 1 || m.Hits[0].Key != 2 {
		t.Fatalf("hits %+v", m.Hits)
	}
}

func TestSharedGroupTakesTurnsAndPrefersReady(t *testing.T) {
	ready := map[int]bool{1: true, 2: true, 3: false}
	tree := NewTree(func(k int) bool { return ready[k] })
	for k := 1; k <= 3; k++ {
		tree.Add("$share/g/a/+", k, Options{QoS: 1})
	}
	tree.Add("$share/h/a/+", 9, Options{})
	got := map[int]int{}
	var m Matches[int]
	for range 30 {
		tree.Match("a/b", 0, &m)
		if len(m.Hits) != 2 {
			t.Fatalf("hits %+v", m.Hits)
		}
		for _, h := range m.Hits {
			got[h.Key]++
		}
	}
	if got[3] != 0 || got[9] != 30 || got[1] < 10 || got[2] < 10 {
		t.Fatalf("turns %v", got)
	}
	if !tree.Remove("$share/g/a/+", 1) || tree.Remove("$share/g/a/+", 1) {
		t.Fatal("remove of a shared subscription")
	}
}

func TestConcurrentUse(t *testing.T) {
	tree := NewTree[int](nil)
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			var m Matches[int]
			for i := range 500 {
				f := fmt.Sprintf("a/%d/+", i%7)
				tree.Add(f, k, Options{})
				tree.Match("a/3/x", -1, &m)
				tree.Remove(f, k)
			}
		})
	}
	wg.Wait()
	if tree.Len() != 0 {
		t.Fatal("left over")
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	tree := NewTree[int](nil)
	for k := range 10 {
		tree.Add("a/+/c", k, Options{})
	}
	var m Matches[int]
	tree.Match("a/b/c", -1, &m)
	if n := testing.AllocsPerRun(100, func() { tree.Match("a/b/c", -1, &m) }); n != 0 {
		t.Fatalf("%v allocations per match", n)
	}
}

// FuzzMatch holds the three matchers against each other on whatever passes validation.
func FuzzMatch(f *testing.F) {
	for _, c := range matching {
		f.Add(c.filter, c.name)
	}
	f.Add("$share/g/a/+", "a/b")
	f.Fuzz(func(t *testing.T, filter, name string) {
		if !ValidFilter(filter) || !ValidName(name) {
			return
		}
		_, plain, _ := SplitShared(filter)
		want := Match(plain, name)
		if got := treeMatches(filter, name); got != want {
			t.Fatalf("tree %v, match %v", got, want)
		}
		if got := indexMatches(plain, name); got != want {
			t.Fatalf("index %v, match %v", got, want)
		}
		if !strings.ContainsAny(plain, "+#") && want != (plain == name) {
			t.Fatal("literal filter")
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	tree := NewTree[int](nil)
	for k := range 100_000 {
		tree.Add(fmt.Sprintf("t/%d/up", k), k, Options{})
	}
	tree.Add("t/+/up", -1, Options{})
	var m Matches[int]
	b.ReportAllocs()
	for b.Loop() {
		tree.Match("t/777/up", -2, &m)
	}
}
