package simulator

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/edge/device/simulator/internal/recording"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/kit/service"
)

// registerAtOnce bounds how many devices bootstrap at the same time; servers limit the rate.
const registerAtOnce = 4

// Run registers the fleet, which fails at the first device that cannot be registered, and then runs it until the context ends, through
// any loss of connection. It returns nil when the context has ended.
func Run(ctx context.Context, conf Config, log *slog.Logger) error {
	if err := conf.Check(); err != nil {
		return err
	}
	conf = conf.withDefaults()
	server, err := conf.broker()
	if err != nil {
		return err
	}
	recordings, err := openRecordings(conf.Replay, log)
	if err != nil {
		return err
	}
	memory, err := openState(conf.StateFile, server.String())
	if err != nil {
		return err
	}
	f := &fleet{conf: conf, log: log, state: memory, dial: pahoDialer(server, conf.TLS), recordings: recordings, group: service.NewGroup(log)}
	if f.obtain, err = f.source(); err != nil {
		return err
	}
	if err := reach(ctx, server); err != nil {
		return orNil(ctx, err)
	}
	log.Info("fleet starting", "server", server.String(), "homes", conf.Homes, "machines", conf.Machines)
	return orNil(ctx, f.run(ctx))
}

// orNil hides errors that are only the consequence of the context's end.
func orNil(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func openRecordings(paths []string, log *slog.Logger) ([]*recording.Recording, error) {
	var all []*recording.Recording
	for _, p := range paths {
		r, err := recording.Open(p)
		if err != nil {
			return nil, err
		}
		level := slog.LevelInfo
		if r.Bad > 0 {
			level = slog.LevelWarn
		}
		log.Log(context.Background(), level, "recording opened", "file", r.Name, "rows", len(r.Rows), "missing", r.Missing, "bad", r.Bad)
		all = append(all, r)
	}
	return all, nil
}

// fleet is what the devices share.
type fleet struct {
	conf       Config
	log        *slog.Logger
	state      *state
	dial       dialer
	obtain     func(ctx context.Context, id string) (known, error)
	recordings []*recording.Recording
	group      *service.Group
}

// source returns how devices get their credentials.
func (f *fleet) source() (func(context.Context, string) (known, error), error) {
	if ask := f.conf.Credentials; ask != nil {
		return func(ctx context.Context, id string) (known, error) {
			tenant, user, password, err := ask(ctx, id)
			return known{Tenant: tenant, User: user, Password: password}, err
		}, nil
	}
	base, err := f.conf.baseURL()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: f.conf.TLS}
	b := &bootstrap{
		conf: f.conf, base: base, dial: f.dial, poll: bootstrapPoll,
		http: &http.Client{Transport: transport, Timeout: 20 * time.Second},
	}
	return b.obtain, nil
}

func (f *fleet) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	devices := f.devices()
	f.conf.Stats.Devices.Add(int64(len(devices)))
	defer f.conf.Stats.Devices.Add(-int64(len(devices)))
	if err := f.register(ctx, devices); err != nil {
		return err
	}
	var wg sync.WaitGroup
	for _, d := range devices {
		wg.Add(1)
		f.group.Go("device "+d.id, func() error {
			defer wg.Done()
			d.run(ctx)
			return nil
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-f.group.Failed():
		cancel()
	}
	wg.Wait()
	return err
}

// devices builds the fleet; nothing is connected yet.
func (f *fleet) devices() []*device {
	var all []*device
	for i := range f.conf.Homes {
		id := fmt.Sprintf("%s-home-%02d", f.conf.Prefix, i+1)
		k, _ := f.state.get(id)
		h := newHome(id, i, f.conf, k.Meter, f.random(id))
		d := f.device(id, h)
		h.bind(d)
		all = append(all, d)
	}
	for i := range f.conf.Machines {
		id := fmt.Sprintf("%s-machine-%02d", f.conf.Prefix, i+1)
		var rec *recording.Recording
		if i < len(f.recordings) {
			rec = f.recordings[i]
		}
		m := newMachine(id, i, f.conf, rec, f.random(id))
		d := f.device(id, m)
		m.bind(d)
		all = append(all, d)
	}
	return all
}

// random returns the generator of one device; its numbers depend on nothing but the seed and the id.
func (f *fleet) random(id string) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(id)) // never fails
	return rand.New(rand.NewPCG(f.conf.Seed, h.Sum64()))
}

func (f *fleet) device(id string, b body) *device {
	return &device{
		id: id, body: b, log: f.log.With("device", id), clock: f.conf.Clock, stats: f.conf.Stats, state: f.state,
		notify:  func(kind EventKind, text string) { f.event(id, kind, text) },
		connect: f.connect,
		start: func(run func()) {
			f.group.Go("connect "+id, func() error { run(); return nil })
		},
		rng:     f.random(id + "/connection"),
		history: f.conf.History,
	}
}

func (f *fleet) event(id string, kind EventKind, text string) {
	f.log.Debug("device event", "device", id, "op", string(kind))
	if f.conf.OnEvent != nil {
		f.conf.OnEvent(Event{Time: f.conf.Clock.Now(), Device: id, Kind: kind, Text: text})
	}
}

// register obtains the credentials of all devices that have none yet, a few at a time.
func (f *fleet) register(ctx context.Context, devices []*device) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, len(devices))
	slots := make(chan struct{}, registerAtOnce)
	for i, d := range devices {
		wg.Add(1)
		f.group.Go("register "+d.id, func() error {
			defer wg.Done()
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
			case <-ctx.Done():
				return nil
			}
			if _, errs[i] = f.credentials(ctx, d.id); errs[i] != nil {
				cancel() // one is enough to know
			}
			return nil
		})
	}
	wg.Wait()
	select {
	case err := <-f.group.Failed(): // a panic in a caller's Credentials
		return err
	default:
	}
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
	}
	return ctx.Err()
}

// credentials returns those of a device, from the state file if it has been registered before.
func (f *fleet) credentials(ctx context.Context, id string) (known, error) {
	if k, found := f.state.get(id); found {
		return k, nil
	}
	k, err := f.obtain(ctx, id)
	if err != nil {
		return known{}, err
	}
	f.event(id, Registered, "")
	err = f.state.update(id, func(old *known) { old.Tenant, old.User, old.Password = k.Tenant, k.User, k.Password })
	return k, err
}

// connect opens a connection of a device. If the server refuses the credentials, it is a new server, or one that has been emptied:
// the device is registered anew and forgets what it has told. The old credentials are kept until there are others, because
// the refusal may also be a passing trouble of the server.
func (f *fleet) connect(ctx context.Context, id string) (Client, error) {
	old, err := f.credentials(ctx, id)
	if err != nil {
		return nil, err
	}
	c, err := f.dial(ctx, old.login(id))
	if !fault.Is(err, fault.Unauthenticated) {
		return c, err
	}
	fresh, again := f.obtain(ctx, id)
	if again != nil {
		return nil, errors.Join(err, again)
	}
	if fresh.login(id) == old.login(id) {
		return nil, err
	}
	f.event(id, Registered, "again")
	if err := f.state.update(id, func(k *known) { fresh.Meter = k.Meter; *k = fresh }); err != nil {
		return nil, err
	}
	return f.dial(ctx, fresh.login(id))
}
