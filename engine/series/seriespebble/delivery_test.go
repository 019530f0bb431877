package seriespebble_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/iot"
)

// deliver appends one commit of each client: its number is the Hash.
func deliver(t *testing.T, s *seriespebble.Store, clients, commit int) {
	t.Helper()
	var batch []series.Entry
	for c := range clients {
		m := &iot.Measurement{Source: 1, Time: iot.FromMillis(int64(commit)), Type: "t", Samples: []iot.Sample{{Fragment: "f", Series: "s"}}}
		batch = append(batch, series.Entry{Tenant: "main", M: m, From: &series.Delivery{Client: uint64(c), Hash: uint64(commit)}})
	}
	must(t, s.Append(context.Background(), batch))
}

func hashes(t *testing.T, s *seriespebble.Store, client uint64) (out []uint64) {
	t.Helper()
	got, err := s.Deliveries(context.Background(), "main", client)
	must(t, err)
	for _, d := range got {
		out = append(out, d.Hash)
	}
	return out
}

// TestTrailsAreBounded appends until the journal was folded by itself some times: it stays small, each client keeps what must be remembered and not much more.
func TestTrailsAreBounded(t *testing.T) {
	s := open(t, t.TempDir(), seriespebble.Options{SealEvery: -1})
	const clients, commits = 500, 700 // 13 MB in the journal, if it were not folded
	for c := range commits {
		deliver(t, s, clients, c)
	}
	must(t, s.Fold())
	if keys, _ := values(t, s, 'j'); len(keys) != 0 {
		t.Errorf("%d values are left in a journal that was folded", len(keys))
	}
	keys, _ := values(t, s, 't')
	if len(keys) != clients {
		t.Errorf("%d trails of %d clients", len(keys), clients)
	}
	for client := range uint64(clients) {
		got := hashes(t, s, client)
		if len(got) != series.Remembered {
			t.Fatalf("client %d: %d commits are remembered, want %d", client, len(got), series.Remembered)
		}
		for i, h := range got {
			if h != uint64(commits-series.Remembered+i) {
				t.Fatalf("client %d: %v", client, got)
			}
		}
	}
}

// TestJournalIsFoldedWhenItIsDue waits for the store to fold by itself.
func TestJournalIsFoldedWhenItIsDue(t *testing.T) {
	s := open(t, t.TempDir(), seriespebble.Options{SealEvery: -1})
	for commit := 0; ; commit++ {
		deliver(t, s, 1000, commit)
		if keys, _ := values(t, s, 't'); len(keys) == 1000 {
			break
		}
		if commit > 3000 { // over 100 MB
			t.Fatal("nothing was folded")
		}
	}
}

// TestDamagedDeliveries flips bits in what clients delivered: measurements are taken in, what is good is remembered, and nothing else is.
func TestDamagedDeliveries(t *testing.T) {
	dir := t.TempDir()
	s, err := seriespebble.Open(dir, seriespebble.Options{SealEvery: -1})
	must(t, err)
	for commit := range 3 {
		deliver(t, s, 2, commit)
	}
	must(t, s.Fold())
	trails, vals := values(t, s, 't')
	for bit := range len(vals[0]) * 8 {
		bad := bytes.Clone(vals[0])
		bad[bit/8] ^= 1 << (bit % 8)
		must(t, s.DB().Set(trails[0], bad, nil))
		if got := hashes(t, s, 0); len(got) != 0 {
			t.Fatalf("bit %d: %v", bit, got)
		}
	}
	deliver(t, s, 2, 3)
	if got := hashes(t, s, 0); len(got) != 1 || got[0] != 3 {
		t.Fatal(got)
	}
	deliver(t, s, 2, 4)
	// A crash leaves the journal as it is; a close would fold it.
	keys, vals := values(t, s, 'j')
	vals[0][len(vals[0])-1] ^= 1
	must(t, s.DB().Set(keys[0], vals[0], nil))
	must(t, s.DB().Set(append([]byte("j"), 1), []byte{0, 0, 0, 0, 200, 1}, nil))
	copied := t.TempDir() + "/copy"
	must(t, s.Checkpoint(copied))
	must(t, s.Close())
	again := open(t, copied, seriespebble.Options{SealEvery: -1})
	if got := hashes(t, again, 1); len(got) != 4 || got[2] != 2 || got[3] != 4 {
		t.Fatal(got)
	}
	deliver(t, again, 2, 5)
	must(t, again.Fold())
	if got := hashes(t, again, 0); len(got) != 2 || got[0] != 4 || got[1] != 5 {
		t.Fatal(got)
	}
}

// FuzzTrail gives the decoder of deliveries content with a good checksum.
func FuzzTrail(f *testing.F) {
	f.Add([]byte{4, 'm', 'a', 'i', 'n', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0, 1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, content []byte) {
		seriespebble.ReadJournal(content, func(client uint64, commit []byte) {
			if n := len(commit) - 4; n < 0 || n%series.DeliveryBytes != 0 {
				t.Fatalf("a commit of %d bytes", len(commit))
			}
		})
	})
}
