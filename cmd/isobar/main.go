// Command isobar is the platform: one binary, roles by sub-command.
package main

import (
	"context"
	"os"

	"github.com/isobar-iot/isobar/app"
)

func main() {
	os.Exit(app.Main(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
