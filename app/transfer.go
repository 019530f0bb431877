package app

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/governance/transfer"
)

// access declares the flags that say how to reach a platform. The password comes from the environment or a file that it names.
func (p *program) access(cmd *cobra.Command, prefix, env string) func() (*transfer.Platform, error) {
	to := &transfer.Platform{}
	cmd.Flags().StringVar(&to.URL, prefix+"url", "", "URL of the platform")
	cmd.Flags().StringVar(&to.User, prefix+"user", "", "user with full rights, in the form tenant/name; the password is read from "+env+" or the file named by "+env+"_FILE")
	cmd.Flags().Float64Var(&to.Rate, prefix+"rate", 200, "requests per second at most")
	return func() (*transfer.Platform, error) {
		to.Password = p.env[env]
		if file := p.env[env+"_FILE"]; to.Password == "" && file != "" {
			b, err := os.ReadFile(file)
			if err != nil {
				return nil, fault.E(fault.Op("transfer.Open"), fault.Invalid, err, env+"_FILE: "+err.Error())
			}
			to.Password = strings.TrimSpace(string(b))
		}
		return to, nil
	}
}

func (p *program) exportCommand() *cobra.Command {
	verify := false
	cmd := &cobra.Command{Use: "export FOLDER", Args: cobra.ExactArgs(1), Short: "Export a tenant of any platform with this API into a folder",
		Long: `Export asks a platform for everything that a tenant has, and writes it into a folder: JSON lines by kind, files by their SHA-256, and export.json.
An export that was interrupted goes on when it is started again. Secrets are never exported.`}
	source := p.access(cmd, "", "ISOBAR_PASSWORD")
	cmd.Flags().BoolVar(&verify, "verify", false, "read a finished export instead and name what is damaged")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if verify {
			return p.verifyExport(args[0])
		}
		from, err := source()
		if err != nil {
			return err
		}
		m, err := transfer.Export(cmd.Context(), from, args[0], time.Now(), p.stdout)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "the tenant %s as of %s is in %s\n", m.Tenant, m.AsOf.Format(time.RFC3339), args[0])
		return m.Print(p.stdout)
	}
	return cmd
}

func (p *program) verifyExport(dir string) error {
	_, damage, err := transfer.Verify(dir)
	if err != nil {
		return err
	}
	for _, line := range damage {
		fmt.Fprintln(p.stdout, "DAMAGED", line)
	}
	if len(damage) > 0 {
		return fault.Errorf("transfer.Verify", fault.Corrupt, "%d places are damaged", len(damage))
	}
	fmt.Fprintln(p.stdout, "the export is as it was written")
	return nil
}

func (p *program) importCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "import FOLDER", Args: cobra.ExactArgs(1), Short: "Import an export, or another platform with this API, into a tenant",
		Long: `Import brings what is in a folder into a tenant of a running platform. With --from-url it first exports that platform into the folder. If it is
interrupted, start it again: nothing is made twice. At the end it reads everything back and writes receipt.json into the folder.`}
	target, source := p.access(cmd, "", "ISOBAR_PASSWORD"), p.access(cmd, "from-", "ISOBAR_FROM_PASSWORD")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		to, err := target()
		if err != nil {
			return err
		}
		from, err := source()
		if err != nil {
			return err
		}
		if _, err := transfer.ReadManifest(args[0]); from.URL != "" && fault.Is(err, fault.NotFound) {
			if _, err := transfer.Export(cmd.Context(), from, args[0], time.Now(), p.stdout); err != nil {
				return err
			}
		}
		receipt, err := transfer.Import(cmd.Context(), args[0], to, p.stdout)
		if err != nil {
			return err
		}
		if err := receipt.Write(filepath.Join(args[0], "receipt.json")); err != nil {
			return err
		}
		if err := receipt.Print(p.stdout); err != nil {
			return err
		}
		if !receipt.Matches {
			return fault.E(fault.Op("transfer.Import"), fault.Conflict, "both sides do not match: see the receipt; start the import again, or look at what was not carried over")
		}
		return nil
	}
	return cmd
}
