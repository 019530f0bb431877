package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/isobar-iot/isobar/fault"
)

// Version is set by the linker for releases.
var Version = "0.1.0-dev"

// program carries what every command needs.
type program struct {
	env            map[string]string
	stdout, stderr io.Writer
}

// Main runs the program and returns its exit code: 0, or that of the error's kind in package fault, or 2 for wrong usage.
// It ends when ctx does, or on SIGINT or SIGTERM.
func Main(ctx context.Context, args, env []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	p := &program{env: map[string]string{}, stdout: stdout, stderr: stderr}
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		p.env[k] = v
	}
	root := &cobra.Command{
		Use:               "isobar",
		Short:             "Isobar is an IoT platform in one binary",
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddCommand(p.server(), p.demo(), p.simulate(), p.check(), p.bench(), p.audit(), p.backupCommand(), p.restoreCommand(), p.linkCommand(), p.verifyCommand(), p.exportCommand(), p.importCommand(), p.modules(), p.version())
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "isobar:", message(err))
	var f *fault.Error
	if errors.As(err, &f) {
		return f.Kind.Row().Exit
	}
	return 2
}

// message prefers what an error says to people.
func message(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && f.Msg != "" {
		return f.Msg
	}
	return err.Error()
}

func (p *program) log(c Config) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // checked before
	opts := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(p.stderr, opts))
	}
	return slog.New(slog.NewTextHandler(p.stderr, opts))
}

// configured returns a command whose flags are a Config that was loaded and checked.
func (p *program) configured(use, short string, run func(cmd *cobra.Command, c Config) error) *cobra.Command {
	var c Config
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		if err := c.load(cmd, p.env); err != nil {
			return err
		}
		if err := c.Check(); err != nil {
			return err
		}
		return run(cmd, c)
	}}
	c.flags(cmd.Flags())
	return cmd
}

func (p *program) check() *cobra.Command {
	return p.configured("check", "Check the configuration without opening anything", func(*cobra.Command, Config) error {
		fmt.Fprintln(p.stdout, "the configuration is good")
		return nil
	})
}

func (p *program) version() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
		_, err := fmt.Fprintln(p.stdout, Version)
		return err
	}}
}

func (p *program) server() *cobra.Command {
	return p.configured("server", "Run the platform", func(cmd *cobra.Command, c Config) error {
		pf, err := Start(cmd.Context(), c, p.log(c))
		if err != nil {
			return err
		}
		pf.announce(p.stdout)
		return pf.Wait(cmd.Context())
	})
}
