package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/security/audit"
	"github.com/isobar-iot/isobar/security/audit/auditsql"
)

func auditKeyFile(data, key string) string {
	return first(key, filepath.Join(data, "keys", "audit.pem"))
}

func auditTrailFile(data string) string { return filepath.Join(data, "audit", "checkpoints.jsonl") }

// auditFlags say where the evidence is.
type auditFlags struct {
	data, postgres, key, tenant string
	publicKeys, checkpoints     []string
	json                        bool
}

func (p *program) audit() *cobra.Command {
	cmd := &cobra.Command{Use: "audit", Short: "Check the audit records"}
	cmd.AddCommand(p.auditVerify())
	return cmd
}

func (p *program) auditVerify() *cobra.Command {
	var f auditFlags
	cmd := &cobra.Command{Use: "verify", Args: cobra.NoArgs, Short: "Find audit records that were changed, deleted, inserted or exchanged",
		Long: `Verify reads the audit records of a data folder or of a PostgreSQL database, with or without a server running on it, and changes nothing.
It ends with 0 if all is good, with 1 if something is wrong, and with another code if it could not look.
Give --public-key and --checkpoints files that were kept elsewhere: those beside the records could have been changed with them.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.verifyAudit(cmd, f) }}
	cmd.Flags().StringVar(&f.data, "data", first(p.env["ISOBAR_DATA"], "./data"), "the data folder")
	cmd.Flags().StringVar(&f.postgres, "postgres", "", "URL of a PostgreSQL database that holds the records; also ISOBAR_POSTGRES")
	cmd.Flags().StringVar(&f.key, "audit-key", "", "the server's --audit-key, beside which the public keys are looked for; also ISOBAR_AUDIT_KEY")
	cmd.Flags().StringArrayVar(&f.publicKeys, "public-key", nil, "file with public keys (PEM), may be repeated; without: those beside the private key")
	cmd.Flags().StringArrayVar(&f.checkpoints, "checkpoints", nil, "checkpoint file, may be repeated, one per node; without: the one in the data folder")
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "check the records of this tenant only")
	cmd.Flags().BoolVar(&f.json, "json", false, "print the report as JSON")
	return cmd
}

func (p *program) verifyAudit(cmd *cobra.Command, f auditFlags) error {
	const op = fault.Op("audit.Verify")
	if len(f.publicKeys) == 0 {
		var err error
		if f.publicKeys, err = audit.PublicFiles(auditKeyFile(f.data, first(f.key, p.env["ISOBAR_AUDIT_KEY"]))); err != nil {
			return err
		}
	}
	if len(f.publicKeys) == 0 {
		return fault.E(op, fault.NotFound, "no public keys were found: name them with --public-key")
	}
	keys, err := audit.ReadKeys(f.publicKeys...)
	if err != nil {
		return fault.E(op, fault.Invalid, err, err.Error())
	}
	if len(f.checkpoints) == 0 {
		f.checkpoints = []string{auditTrailFile(f.data)}
	}
	reader, err := openAudit(f.data, first(f.postgres, p.env["ISOBAR_POSTGRES"]))
	if err != nil {
		return fault.E(op, fault.Unavailable, err, err.Error())
	}
	report, err := audit.Verify(cmd.Context(), audit.Evidence{Reader: reader, Keys: keys, Files: f.checkpoints, Only: iot.TenantID(f.tenant)})
	if err = errors.Join(err, reader.Close()); err != nil {
		return fault.E(op, fault.Unavailable, err, err.Error())
	}
	if err := p.printAudit(report, f); err != nil {
		return err
	}
	if !report.Good() {
		return fault.E(op, fault.Internal, "the audit records are NOT as they were written")
	}
	return nil
}

func openAudit(data, postgres string) (*auditsql.Reader, error) {
	if postgres != "" {
		return auditsql.OpenPostgres(postgres)
	}
	r, err := auditsql.OpenFile(filepath.Join(data, "documents.db"))
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("there is no database in %s: name the folder with --data, or the database with --postgres", data)
	}
	return r, err
}

func (p *program) printAudit(report *audit.Report, f auditFlags) error {
	if f.json {
		e := json.NewEncoder(p.stdout)
		e.SetIndent("", "  ")
		return e.Encode(struct {
			Good bool `json:"good"`
			*audit.Report
		}{report.Good(), report})
	}
	verdict := "GOOD: every record is as it was written"
	if !report.Good() {
		verdict = "BAD"
	}
	_, err := fmt.Fprintf(p.stdout, "%s%s\n", report, verdict)
	return err
}
