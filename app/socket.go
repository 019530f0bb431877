package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
)

// socketName is where a running server takes orders from commands on the same machine. Who may open the data folder may give them.
const socketName = "admin.sock"

// maxSocketPath is what all systems allow.
const maxSocketPath = 100

// order is what a command sends to the running server, one of its members, and answer what comes back.
type order struct {
	Backup string `json:"backup,omitempty"` // the folder, absolute
	Link   string `json:"link,omitempty"`   // tenant/user who wants to log in
}

type answer struct {
	Manifest *manifest  `json:"manifest,omitempty"`
	Link     string     `json:"link,omitempty"`
	Error    string     `json:"error,omitempty"`
	Kind     fault.Kind `json:"kind,omitempty"`
}

// startSocket listens in the data folder.
func startSocket(_ context.Context, p *parts) (stopFunc, error) {
	name := filepath.Join(p.conf.Data, socketName)
	if len(name) > maxSocketPath {
		p.log.Warn("the path of the data folder is too long for a socket: isobar backup cannot reach this server", "path", name)
		return nil, nil
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) { // of a server that was killed; a living one holds the lock of the series
		return nil, err
	}
	l, err := net.Listen("unix", name)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(name, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /", p.obey)
	s := &http.Server{Handler: mux}
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.fail("admin socket", err)
		}
	}()
	return func(context.Context) error { return s.Close() }, nil
}

// obey carries an order out.
func (p *parts) obey(w http.ResponseWriter, r *http.Request) {
	var o order
	var a answer
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&o)
	switch {
	case err != nil:
		err = fault.E(fault.Op("admin.Order"), fault.Malformed, err)
	case o.Link != "":
		a.Link, err = p.oneTimeLink(r.Context(), o.Link)
	case !filepath.IsAbs(o.Backup):
		err = fault.E(fault.Op("admin.Order"), fault.Invalid, "the folder must be absolute")
	default:
		var m manifest
		if m, err = p.backup(r.Context(), o.Backup); err == nil {
			p.log.Info("backup", "dir", o.Backup, "files", len(m.Files), "bytes", m.bytes())
			a.Manifest = &m
		}
	}
	if err != nil {
		p.log.Error("order of a command", "backup", o.Backup, "link", o.Link, "err", err)
		a = answer{Error: message(err), Kind: fault.KindOf(err)}
	}
	_ = json.NewEncoder(w).Encode(a)
}

// oneTimeLink returns a link with which a user logs in once.
func (p *parts) oneTimeLink(ctx context.Context, who string) (string, error) {
	tenant, user, ok := strings.Cut(who, "/")
	if !ok || tenant == "" || user == "" {
		return "", fault.E(fault.Op("admin.Link"), fault.Invalid, "the user must be given as tenant/name")
	}
	code, err := p.users.OneTimeCode(ctx, iot.TenantID(tenant), iot.UserName(user))
	if err != nil {
		return "", err
	}
	p.audit.Record(ctx, iot.System(iot.TenantID(tenant)), iot.AuditRecord{Type: "User", Activity: "Login link made", Text: "A link to log in once as '" + user + "' was made on the machine of the server"})
	return p.url() + "/apps/public/login/#otp=" + code, nil
}

// command sends an order to the server that runs on a data folder.
func command(ctx context.Context, data string, o order) (answer, error) {
	const op = fault.Op("admin.Command")
	name := filepath.Join(data, socketName)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", name)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: dial}}
	body, err := json.Marshal(o)
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://isobar/", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, fault.E(op, fault.Unavailable, err, "no server runs on "+data+": name the folder of a running one with --data")
	}
	defer res.Body.Close()
	var a answer
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil {
		return a, fault.E(op, fault.Unavailable, err, "the server ended before it had answered")
	}
	if a.Error != "" {
		return a, fault.E(op, a.Kind, a.Error)
	}
	return a, nil
}

func (p *program) backupCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{Use: "backup FOLDER", Args: cobra.ExactArgs(1), Short: "Copy the data of the running server into a new folder",
		Long: `Backup lets the server that runs on a data folder copy everything into a new or empty folder of the same machine, while it goes on working.
What was acknowledged before the moment that is printed is in the copy. A file isobar-backup.json with the checksum of every file is written last.
The copy holds keys: keep it as safely as the data folder. With PostgreSQL it refuses and says what to do instead.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			a, err := command(cmd.Context(), data, order{Backup: dir})
			if err != nil {
				return err
			}
			return p.printBackup("backup of", *a.Manifest)
		}}
	cmd.Flags().StringVar(&data, "data", first(p.env["ISOBAR_DATA"], "./data"), "the data folder of the running server")
	return cmd
}

func (p *program) linkCommand() *cobra.Command {
	var data, user string
	cmd := &cobra.Command{Use: "link", Args: cobra.NoArgs, Short: "Print a link to log in once, for who lost the password",
		Long: `Link lets the server that runs on a data folder make a link with which a user logs in once within a day, and sets a new password.
Who may open the data folder may do so. It is noted in the audit records of the tenant.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := command(cmd.Context(), data, order{Link: user})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(p.stdout, a.Link)
			return err
		}}
	cmd.Flags().StringVar(&data, "data", first(p.env["ISOBAR_DATA"], "./data"), "the data folder of the running server")
	cmd.Flags().StringVar(&user, "user", string(iot.DefaultTenant)+"/"+adminUser, "who wants to log in, in the form tenant/name")
	return cmd
}

func (p *program) restoreCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{Use: "restore FOLDER", Args: cobra.ExactArgs(1), Short: "Make a data folder from a backup",
		Long: `Restore copies a backup into a data folder that does not exist or is empty, and checks every file. Nothing is ever overwritten.
Start the server on the folder afterwards.`,
		RunE: func(_ *cobra.Command, args []string) error {
			m, err := restore(args[0], data)
			if err != nil {
				return err
			}
			return p.printBackup("restored", m)
		}}
	cmd.Flags().StringVar(&data, "data", first(p.env["ISOBAR_DATA"], "./data"), "the data folder to make")
	return cmd
}

func (p *program) printBackup(what string, m manifest) error {
	_, err := fmt.Fprintf(p.stdout, "%s %d files, %.1f MB, with everything that was acknowledged before %s\n", what, len(m.Files), float64(m.bytes())/1e6,
		m.AsOf.Format("2006-01-02T15:04:05.000Z07:00"))
	return err
}
