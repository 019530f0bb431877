package c8ymqtt_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/identity"
	"github.com/isobar-iot/isobar/platform/registry"
	"github.com/isobar-iot/isobar/wire/smartrest/custom"
)

var update = flag.Bool("update", false, "write what the scripts yield into testdata")

// TestScripts plays testdata/*.txt. A case starts with "=== name" and has a tenant of its own; a line that starts with "> " is a command,
// what follows is what came of it. See (*player).commands for what there is.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	b := simple(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { playFile(t, b, file) })
	}
}

func playFile(t *testing.T, b *bench, file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for i, part := range strings.Split("\n"+string(text), "\n=== ") {
		if i == 0 {
			out.WriteString(strings.TrimPrefix(part, "\n"))
			continue
		}
		name, body, _ := strings.Cut(part, "\n")
		var got string
		t.Run(name, func(t *testing.T) { got = play(t, b, body) })
		if i > 1 || out.Len() > 0 {
			out.WriteString("\n")
		}
		out.WriteString("=== " + name + "\n" + got)
	}
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var caseNumber int

// day is what the cases are apart, so that each can tell its own time.
const day = 24 * time.Hour

var timestamp = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`)

// times replaces the times since the start of the case by what has passed since then.
func (p *player) times(s string) string {
	return timestamp.ReplaceAllStringFunc(s, func(text string) string {
		at, err := iot.ParseTime(text)
		if err != nil || at.Before(p.start) || at.Sub(p.start) >= day {
			return text
		}
		return "now+" + at.Sub(p.start).String()
	})
}

// play runs one case and compares.
func play(t *testing.T, b *bench, script string) string {
	caseNumber++
	p := &player{b: b, t: t, tenant: iot.TenantID(fmt.Sprintf("case-%d", caseNumber)), clients: map[string]*client{}}
	b.clock.Advance(start.Add(time.Duration(caseNumber) * day).Sub(b.clock.Now()))
	p.start = b.clock.Now()
	outer := b.t
	b.t = t
	defer func() { b.t = outer }()
	b.tenant(p.tenant)
	defer func() {
		if t.Failed() && !*update { // a command that could not be run shows what came before it
			t.Logf("%s", p.out.String())
		}
	}()
	for line := range strings.Lines(script) {
		if command, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "> "); ok {
			fmt.Fprintf(&p.out, "> %s\n", command)
			p.run(command)
			p.drain()
		}
	}
	for _, c := range p.clients {
		c.close()
	}
	b.fire()
	got := p.times(p.out.String())
	if want := strings.TrimRight(script, "\n") + "\n"; got != want && !*update {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	return got
}

// player holds the connections of one case.
type player struct {
	b       *bench
	t       *testing.T
	tenant  iot.TenantID
	start   time.Time
	clients map[string]*client
	order   []string
	now     *client
	hold    bool // acknowledgements wait for the command ack
	acks    []func(bool)
	out     bytes.Buffer
}

func (p *player) say(format string, args ...any) { fmt.Fprintf(&p.out, "  "+format+"\n", args...) }

// drain prints what was delivered, and lets the clients acknowledge it.
func (p *player) drain() {
	for _, id := range p.order {
		c := p.clients[id]
		prefix := ""
		if len(p.clients) > 1 {
			prefix = id + " "
		}
		for _, d := range c.conn.take() {
			p.say("%s< %s %s", prefix, d.topic, strings.ReplaceAll(d.payload, "\n", `\n`))
			if d.acked != nil {
				p.acks = append(p.acks, d.acked)
			}
		}
		if c.conn.dropped != 0 {
			p.say("%sdropped: %s", prefix, c.conn.dropped)
			c.conn.dropped = 0
			c.close()
		}
	}
	if !p.hold {
		p.ack("")
	}
}

// run executes one command: its first word, and the rest.
func (p *player) run(command string) {
	p.t.Helper()
	word, rest, _ := strings.Cut(command, " ")
	f := p.commands()[word]
	if f == nil {
		p.t.Fatalf("there is no command %q", word)
	}
	f(rest)
}

func (p *player) commands() map[string]func(rest string) {
	return map[string]func(string){
		"connect": p.connect, "use": func(id string) { p.now = p.clients[id] }, "close": func(string) { p.now.close() },
		"sub": p.sub, "unsub": func(f string) { p.now.unsubscribe(f) },
		"pub": p.pub, "ack": p.ack, "hold": func(string) { p.hold = true },
		"op": p.op, "ops": p.ops, "cancel": p.cancel, "create": p.create, "template": p.template, "delete": p.delete, "move": p.move, "patch": p.patch,
		"register": p.register, "accept": p.accept,
		"advance": func(d string) { p.b.clock.Advance(must(time.ParseDuration(d))(p.t)) },
		"fire":    func(string) { p.b.fire() }, "flush": func(string) { p.b.flush() }, "overdue": func(string) { p.b.overdue() },
		"state": p.state, "restart": p.restart,
	}
}

// connect <client id> [user]: as the device's own user unless one is named; "management/..." is one of another tenant.
func (p *player) connect(rest string) {
	id, user, _ := strings.Cut(rest, " ")
	switch {
	case user == "":
		serial := strings.TrimPrefix(id, "d:")
		serial, _, _ = strings.Cut(serial, ":")
		user = p.b.device(p.tenant, serial)
	case strings.HasPrefix(user, iot.DeviceUserPrefix):
		user = p.b.device(p.tenant, strings.TrimPrefix(user, iot.DeviceUserPrefix))
	case !strings.Contains(user, "/"):
		user = string(p.tenant) + "/" + user
	}
	c, err := p.b.dial(id, user, nil)
	if err != nil {
		p.say("%s", p.plain(err.Error()))
		return
	}
	if p.clients[id] == nil {
		p.order = append(p.order, id)
	}
	p.clients[id], p.now = c, c
}

func (p *player) sub(filter string) {
	if code := p.now.subscribe(filter); code.Failed() {
		p.say("refused: %s", code)
	}
}

// pub <topic> <payload>, in which \n is a line break.
func (p *player) pub(rest string) {
	to, payload, _ := strings.Cut(rest, " ")
	v := p.now.publish(to, strings.ReplaceAll(payload, `\n`, "\n"))
	switch {
	case v.Reason.Failed():
		p.say("not acknowledged: %s", v.Reason)
	case v.Route:
		p.say("routed")
	}
}

// ack lets the clients acknowledge, or with "no" refuse, what they got.
func (p *player) ack(rest string) {
	acks := p.acks
	p.acks = nil
	for _, acked := range acks {
		acked(rest != "no")
	}
}

func (p *player) id(serial string) iot.ID {
	p.t.Helper()
	return must(p.b.registry.Lookup(ctx, p.tenant, iot.SerialType, serial))(p.t)
}

func (p *player) doc(text string) iot.Doc {
	p.t.Helper()
	return must(iot.ParseDoc([]byte(text), iot.MaxDepth))(p.t)
}

// op <serial> <fragments> makes an operation.
func (p *player) op(rest string) {
	serial, text, _ := strings.Cut(rest, " ")
	_, err := p.b.operations.Create(ctx, iot.System(p.tenant), iot.Operation{Device: p.id(serial), Fragments: p.doc(text)})
	if err != nil {
		p.say("%s", p.plain(fault.Message(err)))
	}
	p.b.clock.Advance(time.Millisecond)
	p.b.settle()
}

// create <owner> <serial> <document> makes an object as a user of the platform would.
func (p *player) create(rest string) {
	f := strings.SplitN(rest, " ", 3)
	d := must(registry.DraftOf(p.doc(f[2])))(p.t)
	d.Owner, d.ExternalIDs = &f[0], []iot.ExternalID{{Type: iot.SerialType, Value: f[1]}}
	must(p.b.registry.Create(ctx, iot.System(p.tenant), registry.Place{}, d))(p.t)
}

// template <document> makes a collection of templates as the user interface would, and binds the name that is in it.
func (p *player) template(text string) {
	d := must(registry.DraftOf(p.doc(text)))(p.t)
	name, _ := d.Fragments.Text(custom.NameMember)
	d.ExternalIDs = []iot.ExternalID{{Type: custom.ExternalType, Value: name}}
	must(p.b.registry.Create(ctx, iot.System(p.tenant), registry.Place{}, d))(p.t)
}

func (p *player) patch(rest string) {
	serial, text, _ := strings.Cut(rest, " ")
	must(p.b.registry.Patch(ctx, iot.System(p.tenant), p.id(serial), must(registry.DraftOf(p.doc(text)))(p.t)))(p.t)
}

func (p *player) delete(serial string) {
	must(p.b.registry.Delete(ctx, iot.System(p.tenant), p.id(serial), registry.DeleteOptions{}))(p.t)
}

// move <child> <parent> hangs an object below another one.
func (p *player) move(rest string) {
	child, parent, _ := strings.Cut(rest, " ")
	if err := p.b.registry.Link(ctx, iot.System(p.tenant), p.id(parent), iot.ChildDevice, []iot.ID{p.id(child)}); err != nil {
		p.t.Fatal(err)
	}
}

func (p *player) register(rest string) {
	id, token, _ := strings.Cut(rest, " ")
	must(p.b.registrations.Request(ctx, iot.System(p.tenant), identity.Registration{ID: id}, token))(p.t)
}

func (p *player) accept(rest string) {
	id, token, _ := strings.Cut(rest, " ")
	if _, err := p.b.registrations.Accept(ctx, iot.System(p.tenant), id, token); err != nil {
		p.say("%s", fault.Message(err))
	}
}

// restart is a process that died and was started again: nobody was told.
func (p *player) restart(string) {
	p.b.connectivity.Close()
	p.b.startConnectivity()
	clear(p.clients)
	p.order = nil
}
