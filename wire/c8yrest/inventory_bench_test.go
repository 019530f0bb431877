package c8yrest_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/isobar-iot/isobar/app"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/kit/sqlkit/sqltest"
	"github.com/isobar-iot/isobar/platform/registry/registrysql"
	"github.com/isobar-iot/isobar/platform/registry/registrytest"
)

// BenchmarkInventory measures whole answers over HTTP with a page of 1,000 out of 100,000 managed objects with twelve fragments each, on both engines:
// the first page, and pages deep in the list, which a client jumps to.
func BenchmarkInventory(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkInventory(b, "") })
	b.Run("postgres", func(b *testing.B) { benchmarkInventory(b, sqltest.PostgresDSN(b)) })
}

func benchmarkInventory(b *testing.B, dsn string) {
	config := app.Config{Data: b.TempDir(), HTTP: "127.0.0.1:0", LogLevel: "error", LogFormat: "text", AdminPassword: adminPassword, BootstrapPassword: bootstrapPassword, Postgres: dsn}
	groups := settle(b, config)
	pf, err := app.Start(context.Background(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := pf.Stop(); err != nil {
			b.Error(err)
		}
	}()
	s := &server{url: "http://" + pf.Addr("http"), client: &http.Client{Transport: &http.Transport{}}}
	defer s.client.CloseIdleConnections()
	s.clerk(b, "few", groups.Small)
	s.clerk(b, "many", groups.Large)
	b.Run("latest changes", func(b *testing.B) {
		for b.Loop() {
			b.SetBytes(s.fetch(b, "admin", s.url+"/isobar/changes?pageSize=100"))
		}
	})
	const deviceModel = "query=$filter=has(c8y_IsDevice) and c8y_Hardware.model eq 'Model C'"
	const availablePosition = "query=$filter=c8y_Availability.status eq 'AVAILABLE' and has(c8y_Position)"
	for _, list := range []struct {
		name, as, params string
		pages            []int
	}{
		{"all", "admin", "", []int{1, 50, 95}},
		{"devices of a model", "admin", deviceModel, []int{1, 10}},
		{"available with position", "admin", availablePosition, []int{1, 50, 59}},
		{"two fragments", "admin", "query=$filter=has(c8y_Position) and has(c8y_Network)", []int{1, 50, 95}},
		{"fragment", "admin", "fragmentType=c8y_Position", []int{1, 50, 95}},
		{"order by name", "admin", "query=$orderby=name", []int{1, 50, 95}},
		{"devices of a model by name", "admin", deviceModel + " $orderby=name", []int{1, 10}},
		{"type", "admin", "type=c8y_Kind3", []int{1, 9}},
		{"type eq", "admin", "query=$filter=type eq 'c8y_Kind3'", []int{1, 9}},
		{"text", "admin", "text=0042", []int{1}},
		{"devices", "admin", "q=$filter=has(c8y_Hardware)", []int{1, 50, 75}},
		{"devices by name", "admin", "q=$orderby=name", []int{1, 50, 75}},
		{"total of all", "admin", "withTotalElements=true", []int{1}},
		{"total of available with position", "admin", "withTotalElements=true&" + availablePosition, []int{1, 50}},
		{"20 groups of 50", "few:Secret-12345", "", []int{1}},
		{"20 groups of 50, devices of a model", "few:Secret-12345", deviceModel, []int{1}},
		{"20 groups of 50, by name", "few:Secret-12345", "query=$orderby=name", []int{1}},
		{"20 groups of 1000", "many:Secret-12345", "", []int{1, 10, 19}},
		{"20 groups of 1000, devices of a model", "many:Secret-12345", deviceModel, []int{1}},
		{"20 groups of 1000, by name", "many:Secret-12345", "query=$orderby=name", []int{1, 19}},
	} {
		for _, page := range list.pages {
			b.Run(fmt.Sprintf("%s/page %d", list.name, page), func(b *testing.B) {
				target, err := url.Parse(fmt.Sprintf("%s/inventory/managedObjects?pageSize=1000&currentPage=%d&%s", s.url, page, list.params))
				if err != nil {
					b.Fatal(err)
				}
				target.RawQuery = target.Query().Encode()
				for b.Loop() {
					b.SetBytes(s.fetch(b, list.as, target.String()))
				}
			})
		}
	}
}

// settle fills the store before the platform starts.
func settle(b *testing.B, config app.Config) registrytest.Groups {
	ctx, log := context.Background(), slog.New(slog.DiscardHandler)
	db, err := sqlkit.OpenSQLite(ctx, filepath.Join(config.Data, "documents.db"), log)
	if config.Postgres != "" {
		_ = db.Close()
		db, err = sqlkit.OpenPostgres(ctx, config.Postgres, log)
	}
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
	}()
	store, err := registrysql.New(ctx, db)
	if err != nil {
		b.Fatal(err)
	}
	groups := registrytest.Crowd(b, db, store, iot.DefaultTenant, 100)
	if config.Postgres != "" { // as autovacuum does, which cannot run within a transaction
		pool, err := sql.Open("pgx", config.Postgres)
		if err != nil {
			b.Fatal(err)
		}
		defer pool.Close()
		if _, err := pool.ExecContext(ctx, "VACUUM ANALYZE"); err != nil {
			b.Fatal(err)
		}
	}
	return groups
}

// clerk makes a user who may read what is in groups, and nothing else.
func (s *server) clerk(b *testing.B, name string, groups []iot.ID) {
	must := func(target, body string) answer {
		a := s.send(b, "admin", "POST", target, http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}, body)
		if a.status/100 != 2 {
			b.Fatal(target, a.status, a.body)
		}
		return a
	}
	must("/user/main/users", `{"userName":"`+name+`","password":"Secret-12345","email":"`+name+`@example.com"}`)
	role := must("/user/inventoryroles", `{"name":"read `+name+`","permissions":[{"type":"*","permission":"READ","scope":"MANAGED_OBJECT"}]}`)
	id, _ := lookup([]byte(role.body), ".id")
	for _, g := range groups {
		must("/user/main/users/"+name+"/roles/inventory", `{"managedObject":"`+g.String()+`","roles":[{"id":`+id+`}]}`)
	}
}

// fetch reads an answer to its end and returns how large it was.
func (s *server) fetch(b *testing.B, as, target string) int64 {
	r, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	user, password := as, adminPassword
	if n := len(as) - len(":Secret-12345"); n > 0 {
		user, password = as[:n], as[n+1:]
	}
	r.SetBasicAuth(user, password)
	res, err := s.client.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil || res.StatusCode != http.StatusOK || n < 1000 {
		b.Fatal(res.Status, n, err)
	}
	return n
}
