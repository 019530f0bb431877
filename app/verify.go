package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/spf13/cobra"

	"github.com/isobar-iot/isobar/engine/mqtt/session/sessionpebble"
	"github.com/isobar-iot/isobar/engine/series/seriespebble"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/seal"
	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// sealed are the stores whose state is remembered at a clean stop. Keys are not: people may exchange them meanwhile.
var sealed = []string{documentsName, documentsName + "-wal", seriesName, sessionsName, rawName}

// sealData remembers how the stores were left. It is the last that a stop does.
func (p *parts) sealData() error { return seal.Write(p.conf.Data, sealed, ".sst") }

// checkSeal refuses to work on stores that were damaged since the last stop: their logs could not tell.
func (p *parts) checkSeal() error {
	const op = fault.Op("disk.Seal")
	damage, _, err := seal.Check(p.conf.Data)
	if err != nil {
		return fault.E(op, fault.Unavailable, err, "the seal of the data folder cannot be checked: "+err.Error())
	}
	for _, line := range damage {
		p.log.Error("the data folder is not as the last stop has left it", "what", line)
	}
	if len(damage) > 0 {
		return fault.E(op, fault.Corrupt, fmt.Sprintf("the data folder was damaged since the last stop: %s (%d in all). Restore a backup; "+
			"to go on with what is left, remove %s", damage[0], len(damage), filepath.Join(p.conf.Data, seal.Name)))
	}
	return seal.Break(p.conf.Data)
}

func (p *program) verifyCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{Use: "verify", Args: cobra.NoArgs, Short: "Read everything in the data folder of a stopped server and name what is damaged",
		Long: `Verify reads all stores of a data folder that no server uses, and changes nothing. It ends with 0 if all is good, with 6 if something is damaged, and
with another code if it could not look. Whether audit records were altered is a question for isobar audit verify.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.verifyData(cmd.Context(), data) }}
	cmd.Flags().StringVar(&data, "data", first(p.env["ISOBAR_DATA"], "./data"), "the data folder")
	return cmd
}

func (p *program) verifyData(ctx context.Context, data string) error {
	const op = fault.Op("data.Verify")
	bad := 0
	report := func(store string, what any) {
		bad++
		fmt.Fprintf(p.stdout, "DAMAGED %s: %v\n", store, what)
	}
	if _, err := os.Stat(filepath.Join(data, seriesName)); err != nil {
		if _, err := os.Stat(filepath.Join(data, documentsName)); err != nil {
			return fault.E(op, fault.NotFound, "there is no data in "+data)
		}
	}
	damage, was, err := seal.Check(data)
	if err != nil {
		return fault.E(op, fault.Unavailable, err, err.Error())
	}
	for _, line := range damage {
		report("since the last stop", line)
	}
	if !was {
		fmt.Fprintln(p.stdout, "there is no seal: the last stop was not a clean one, or a server is running")
	}
	for _, check := range []func(context.Context, string, func(string, any)) (string, error){verifyDocuments, verifyFiles, verifySeries, verifySessions, verifyRaw} {
		done, err := check(ctx, data, report)
		switch {
		case fault.Is(err, fault.Corrupt), pebble.IsCorruptionError(err):
			report(done, err)
		case errors.Is(err, syscall.EAGAIN):
			return fault.E(op, fault.Conflict, err, "a server uses "+data+": stop it first, or verify a backup of it")
		case err != nil:
			return fault.E(op, fault.Unavailable, err, done+" cannot be read: "+err.Error())
		default:
			fmt.Fprintln(p.stdout, "read", done)
		}
	}
	if bad > 0 {
		return fault.Errorf(op, fault.Corrupt, "%d places are damaged", bad)
	}
	return nil
}

// verifyDocuments checks the structure of the database: of the bytes inside of its rows it knows nothing.
func verifyDocuments(ctx context.Context, data string, report func(string, any)) (string, error) {
	file := filepath.Join(data, documentsName)
	info, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return "no documents", nil
	}
	if err != nil {
		return documentsName, err
	}
	damage, err := sqlkit.CheckFile(ctx, file)
	if err != nil {
		return documentsName, fault.E(fault.Op("data.Verify"), fault.Corrupt, err)
	}
	for _, line := range damage {
		report(documentsName, line)
	}
	return fmt.Sprintf("%s: %.1f MB", documentsName, float64(info.Size())/1e6), nil
}

func verifySeries(ctx context.Context, data string, report func(string, any)) (string, error) {
	dir := filepath.Join(data, seriesName)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return "no measurements", nil
	}
	n, err := seriespebble.Verify(ctx, dir, func(t iot.TenantID, source iot.ID, err error) {
		report(fmt.Sprintf("measurements of source %d of tenant %s", source, t), err)
	})
	if err != nil {
		return seriesName, err
	}
	return fmt.Sprintf("%s: %d measurements", seriesName, n), nil
}

func verifySessions(_ context.Context, data string, report func(string, any)) (string, error) {
	dir := filepath.Join(data, sessionsName)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return "no sessions", nil
	}
	db, err := openToRead(dir)
	if err != nil {
		return sessionsName, err
	}
	defer db.Close()
	n, err := sessionpebble.New(db, []byte(sessionPrefix)).Verify(func(err error) { report(sessionsName, err) })
	return fmt.Sprintf("%s: %d records", sessionsName, n), err
}

// verifyRaw reads the publications that were kept as they came in.
func verifyRaw(_ context.Context, data string, report func(string, any)) (string, error) {
	dir := filepath.Join(data, rawName)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return "no raw publications", nil
	}
	db, err := openToRead(dir)
	if err != nil {
		return rawName, err
	}
	defer db.Close()
	it, err := db.NewIter(nil)
	if err != nil {
		return rawName, err
	}
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if _, err := it.ValueAndErr(); err != nil {
			report(rawName, err)
		}
		n++
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		report(rawName, err)
	}
	return fmt.Sprintf("%s: %d records", rawName, n), nil
}

func openToRead(dir string) (*pebble.DB, error) {
	return pebble.Open(dir, &pebble.Options{ReadOnly: true, Logger: quietLog{}, FormatMajorVersion: pebble.FormatNewest,
		EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}}})
}

// quietLog drops what Pebble says: what matters comes back as an error.
type quietLog struct{}

func (quietLog) Infof(string, ...any)           {}
func (quietLog) Errorf(string, ...any)          {}
func (quietLog) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
