package applogic

import (
	"archive/zip"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// How a process is kept alive.
const (
	firstPause = 500 * time.Millisecond // before it is started again; doubled each time
	lastPause  = time.Minute
	settled    = time.Minute     // who lived so long starts over with the first pause
	grace      = 4 * time.Second // between the request to end and the end
	maxLog     = 256 << 10       // bytes of a process's output that are kept
)

// runner keeps a process for every microservice that has an active archive and a subscription.
type runner struct {
	s    *Apps
	wake chan struct{} // capacity 1: something may have changed
	quit chan struct{}
	done sync.WaitGroup

	mu     sync.Mutex // guards what follows
	served bool
	closed bool
	jobs   map[archiveKey]*job
}

func newRunner(s *Apps) *runner {
	return &runner{s: s, wake: make(chan struct{}, 1), quit: make(chan struct{}), jobs: map[archiveKey]*job{}}
}

// Serve starts the microservices of all tenants, where the server allows processes. Call it once, when the platform can be reached.
func (s *Apps) Serve() {
	r := s.runner
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.served || r.closed || !s.d.Processes {
		return
	}
	r.served = true
	r.done.Go(r.loop)
	r.changed()
}

func (r *runner) changed() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *runner) loop() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		select {
		case <-r.quit:
			return
		case <-r.wake:
		}
		if err := r.reconcile(ctx); err != nil {
			r.s.d.Log.Error("microservices cannot be looked at", "err", err)
		}
	}
}

// reconcile starts what should run and ends what should not.
func (r *runner) reconcile(ctx context.Context) error {
	want, err := r.wanted(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	for key, j := range r.jobs {
		if _, ok := want[key]; !ok {
			close(j.quit)
			delete(r.jobs, key)
		}
	}
	for key, a := range want {
		if r.jobs[key] != nil {
			continue
		}
		j := &job{r: r, app: a, quit: make(chan struct{}), log: &tail{}}
		r.jobs[key] = j
		r.done.Go(j.run)
	}
	return nil
}

func (r *runner) wanted(ctx context.Context) (map[archiveKey]App, error) {
	tenants, err := r.s.d.Tenants.List(ctx, iot.System(iot.Management))
	if err != nil {
		return nil, err
	}
	out := map[archiveKey]App{}
	for _, t := range tenants {
		if r.s.d.Tenants.Active(ctx, t.ID) != nil {
			continue
		}
		apps, err := r.s.d.Store.Owned(ctx, t.ID)
		if err != nil {
			return nil, err
		}
		for _, a := range apps {
			if a.Type != Microservice || a.Active == 0 || a.ExternalURL != "" {
				continue
			}
			users, err := r.s.d.Store.Subscribers(ctx, t.ID, a.ID)
			if err != nil {
				return nil, err
			}
			if len(users) > 0 {
				out[archiveKey{t.ID, a.ID, a.Active}] = a
			}
		}
	}
	return out, nil
}

func (r *runner) close(ctx context.Context) error {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.quit)
		for _, j := range r.jobs {
			close(j.quit)
		}
	}
	r.mu.Unlock()
	ended := make(chan struct{})
	go func() { r.done.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fault.E(fault.Op("applogic.Close"), fault.Deadline, "microservices did not end")
	}
}

// port returns where the process of a microservice listens.
func (r *runner) port(a App) (int, error) {
	r.mu.Lock()
	j := r.jobs[archiveKey{a.Owner, a.ID, a.Active}]
	r.mu.Unlock()
	if j != nil {
		if port := j.listening(); port != 0 {
			return port, nil
		}
	}
	return 0, fault.E(fault.Op("applogic.Service"), fault.Unavailable, time.Second, "the microservice is not running at the moment")
}

func (r *runner) status(a App) Status {
	r.mu.Lock()
	j := r.jobs[archiveKey{a.Owner, a.ID, a.Active}]
	r.mu.Unlock()
	out := Status{Instance: a.Name + "-1"}
	if j != nil {
		j.mu.Lock()
		out.Running, out.Restarts = j.at != 0, j.restarts
		j.mu.Unlock()
		out.Log = j.log.bytes()
	}
	return out
}

// job is one microservice that is kept running.
type job struct {
	r    *runner
	app  App
	quit chan struct{}
	log  *tail

	mu       sync.Mutex // guards what follows
	at       int        // the port of the running process; 0: none
	restarts int
}

func (j *job) listening() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.at
}

func (j *job) set(port int, restart bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.at = port
	if restart {
		j.restarts++
	}
}

// run keeps the process alive until the job is over.
func (j *job) run() {
	dir := filepath.Join(j.r.s.d.Folder, string(j.app.Owner), j.app.ID.String(), j.app.Active.String())
	defer func() { _ = os.RemoveAll(dir) }()
	log := j.r.s.d.Log.With("tenant", j.app.Owner, "microservice", j.app.Name)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		began := j.r.s.d.Clock.Now()
		err := j.once(dir)
		j.set(0, true)
		select {
		case <-j.quit:
			return
		default:
		}
		if j.r.s.d.Clock.Now().Sub(began) > settled {
			pause = firstPause
		}
		fmt.Fprintf(j.log, "[isobar] the process ended (%v), it is started again in %s\n", err, pause)
		log.Warn("a microservice ended", "err", err, "again", pause)
		select {
		case <-j.quit:
			return
		case <-time.After(pause):
		}
	}
}

// once runs the process until it ends by itself or has to.
func (j *job) once(dir string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	m, err := parseManifest(j.app.Manifest)
	if err != nil {
		return err
	}
	if len(m.Process.Command) == 0 {
		return fault.E(fault.Op("applogic.Run"), fault.Invalid, `the manifest has no command to start: "process": {"command": ["./server"]}`)
	}
	if err := j.unpack(ctx, dir, m.Process.Command[0]); err != nil {
		return err
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	env, err := j.environment(ctx, dir, port, m)
	if err != nil {
		return err
	}
	name := m.Process.Command[0]
	if strings.Contains(name, "/") { // of the archive; a bare name is looked up in PATH
		if name, err = filepath.Abs(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return err
		}
		if inside, err := filepath.Abs(dir); err != nil || !strings.HasPrefix(name, inside+string(filepath.Separator)) {
			return fault.E(fault.Op("applogic.Run"), fault.Invalid, "the command lies outside of the archive")
		}
	}
	cmd := exec.Command(name, m.Process.Command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, env, j.log, j.log, grace
	alone(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	go j.watch(ctx, port)
	select {
	case err := <-ended:
		end(cmd, true) // what it left behind
		return err
	case <-j.quit:
	}
	end(cmd, false)
	select {
	case err := <-ended:
		end(cmd, true)
		return err
	case <-time.After(grace):
		end(cmd, true)
		return <-ended
	}
}

// watch says that the service can be reached once it accepts connections.
func (j *job) watch(ctx context.Context, port int) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			_ = c.Close()
			if ctx.Err() == nil {
				j.set(port, false)
			}
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// environment is all that the process gets to know: nothing of our own environment but where programs lie.
func (j *job) environment(ctx context.Context, dir string, port int, m manifest) ([]string, error) {
	a, s := j.app, j.r.s
	password, err := s.unseal(a.Bootstrap, a.Owner, a.ID)
	if err != nil {
		return nil, err
	}
	isolation := m.Isolation
	if isolation == "" {
		isolation = "MULTI_TENANT"
	}
	env := map[string]string{"PATH": os.Getenv("PATH"), "HOME": dir, "TMPDIR": dir, "SERVER_PORT": strconv.Itoa(port), "SERVER_ADDRESS": "127.0.0.1", "PORT": strconv.Itoa(port),
		"APPLICATION_NAME": a.Name, "APPLICATION_KEY": a.Key, "C8Y_BASEURL": s.d.BaseURL(), "C8Y_MICROSERVICE_ISOLATION": isolation,
		"C8Y_BOOTSTRAP_TENANT": string(a.Owner), "C8Y_BOOTSTRAP_USER": string(a.bootstrapUser()), "C8Y_BOOTSTRAP_PASSWORD": password}
	if isolation == "PER_TENANT" {
		env["C8Y_TENANT"], env["C8Y_USER"] = string(a.Owner), string(a.serviceUser())
		all, err := s.d.Store.Subscribers(ctx, a.Owner, a.ID)
		if err != nil {
			return nil, err
		}
		for _, x := range all { // one process serves all: the first is whose account it gets, its owner's before others
			if x.Tenant == a.Owner || env["C8Y_PASSWORD"] == "" {
				if env["C8Y_PASSWORD"], err = s.unseal(x.Secret, x.Tenant, a.ID); err != nil {
					return nil, err
				}
				env["C8Y_TENANT"] = string(x.Tenant)
			}
		}
	}
	var out []string
	for _, k := range slices.Sorted(maps.Keys(env)) {
		out = append(out, k+"="+env[k])
	}
	return out, nil
}

// unpack writes the archive's files into a fresh folder that is ours alone.
func (j *job) unpack(ctx context.Context, dir, command string) error {
	a, s := j.app, j.r.s
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir) // whatever a name is, nothing is written outside
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	source, _, err := s.d.Blobs.Open(ctx, a.Owner, blobKey(a.ID, a.Active), 0)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	file, size, err := spool(source)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close(); _ = os.Remove(file.Name()) }()
	dirs, files, err := directory(file, size)
	if err != nil {
		return err
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		mode := os.FileMode(0o600)
		if dirs.files[f.Name].exec || "./"+f.Name == command || f.Name == command {
			mode = 0o700
		}
		if err := unpackFile(root, f, mode); err != nil {
			return err
		}
	}
	return nil
}

func unpackFile(root *os.Root, f *zip.File, mode os.FileMode) error {
	if at := filepath.Dir(filepath.FromSlash(f.Name)); at != "." {
		if err := root.MkdirAll(at, 0o700); err != nil {
			return err
		}
	}
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	w, err := root.OpenFile(filepath.FromSlash(f.Name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, io.LimitReader(r, int64(f.UncompressedSize64)))
	if closed := w.Close(); err == nil {
		err = closed
	}
	return err
}

// tail keeps the end of what is written to it. It is safe for concurrent use.
type tail struct {
	mu sync.Mutex
	b  []byte
}

// Write implements io.Writer and never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(p)
	if len(p) > maxLog {
		p = p[len(p)-maxLog:]
	}
	if over := len(t.b) + len(p) - maxLog; over > 0 {
		t.b = slices.Delete(t.b, 0, over)
	}
	t.b = append(t.b, p...)
	return n, nil
}

func (t *tail) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.b)
}
