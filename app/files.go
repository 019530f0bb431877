package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/kit/blob/blobdisk"
	"github.com/isobar-iot/isobar/kit/blob/blobs3"
)

const (
	filesName  = "files" // the folder of large files, in the data folder
	placeDisk  = "disk"
	placeS3    = "s3"
	sweepEvery = 5 * time.Minute
)

// FilesConfig says where files of more than 256 KiB lie, and how large they may be.
type FilesConfig struct {
	Folder string // empty: files in the data folder; with PostgreSQL: in the database
	S3     blobs3.Options
	// MaxSize of a file of the inventory, and MaxTenant of all files of a tenant, 0 for any, in MiB.
	MaxSize, MaxTenant int64
}

func (c *FilesConfig) flags(f *pflag.FlagSet) {
	f.StringVar(&c.Folder, "files", "", "folder for files of more than 256 KiB, shared by all nodes; empty: files in the data folder, with --postgres in the database")
	f.Int64Var(&c.MaxSize, "max-file-size", 2048, "MiB that a file of the inventory may have")
	f.Int64Var(&c.MaxTenant, "max-tenant-files", 0, "MiB that all files of a tenant together may have; 0: any number")
	f.StringVar(&c.S3.Endpoint, "s3-endpoint", "", "URL of a server that speaks S3, to keep files of more than 256 KiB there; the keys are read from ISOBAR_S3_ACCESS_KEY and ISOBAR_S3_SECRET_KEY, or from files named by ISOBAR_S3_ACCESS_KEY_FILE and ISOBAR_S3_SECRET_KEY_FILE")
	f.StringVar(&c.S3.Bucket, "s3-bucket", "", "bucket, which must be there")
	f.StringVar(&c.S3.Prefix, "s3-prefix", "isobar/", "what the keys of all objects begin with; must differ where platforms share a bucket")
	f.StringVar(&c.S3.Region, "s3-region", "us-east-1", "region of the bucket")
	f.BoolVar(&c.S3.PathStyle, "s3-path-style", true, "name the bucket in the path; false: in the host name")
}

func (c *FilesConfig) check(bad func(string, ...any)) {
	if c.MaxSize < 0 || c.MaxTenant < 0 || c.MaxSize > 1<<30 || c.MaxTenant > 1<<30 {
		bad("max-file-size, max-tenant-files: must lie between 0 and %d MiB", 1<<30)
	}
	switch given := c.S3.Endpoint != ""; {
	case given && c.S3.Bucket == "":
		bad("s3-bucket: is needed with s3-endpoint")
	case !given && c.S3.Bucket != "":
		bad("s3-endpoint: is needed with s3-bucket")
	case given && (c.S3.AccessKey == "" || c.S3.SecretKey == ""):
		bad("s3-endpoint: ISOBAR_S3_ACCESS_KEY and ISOBAR_S3_SECRET_KEY are needed, or files named by them with _FILE")
	case given && c.S3.Prefix != "" && !strings.HasSuffix(c.S3.Prefix, "/"):
		bad("s3-prefix: must end with a slash")
	}
}

// secrets reads the keys of access from the environment or from the files that it names.
func (c *FilesConfig) secrets(env map[string]string) error {
	for name, to := range map[string]*string{"ISOBAR_S3_ACCESS_KEY": &c.S3.AccessKey, "ISOBAR_S3_SECRET_KEY": &c.S3.SecretKey} {
		*to = env[name]
		if file := env[name+"_FILE"]; *to == "" && file != "" {
			b, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("%s_FILE: %w", name, err)
			}
			*to = strings.TrimSpace(string(b))
		}
	}
	return nil
}

// filesFolder is where files lie on the disk.
func (c *Config) filesFolder() string { return first(c.Files.Folder, filepath.Join(c.Data, filesName)) }

// startFiles opens the store of files and begins to sweep it.
func startFiles(ctx context.Context, p *parts) (stop func(), err error) {
	c := &p.conf
	o := blob.Options{Clock: p.clock, Places: map[string]blob.Outside{}, Alone: c.Postgres == "" && c.Files.S3.Endpoint == "" && c.Files.Folder == "",
		Room: p.disk.Room, Quota: func(context.Context, iot.TenantID) int64 { return c.Files.MaxTenant << 20 }}
	_, errThere := os.Stat(c.filesFolder())
	if c.Postgres == "" || c.Files.Folder != "" || errThere == nil {
		if o.Places[placeDisk], err = blobdisk.Open(c.filesFolder()); err != nil {
			return nil, err
		}
		if c.Postgres == "" || c.Files.Folder != "" {
			o.Place = placeDisk
		}
	}
	if c.Files.S3.Endpoint != "" {
		if o.Places[placeS3], err = blobs3.Open(ctx, c.Files.S3); err != nil {
			return nil, err
		}
		o.Place = placeS3
	}
	if p.blobs, err = blob.Open(ctx, p.db, o); err != nil {
		return nil, err
	}
	return background(sweepEvery, func(ctx context.Context, ticks <-chan time.Time, _ <-chan struct{}) {
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticks:
				if err := p.blobs.Sweep(ctx); err != nil && ctx.Err() == nil {
					p.log.Warn("files that are gone could not be removed", "err", err)
				}
			}
		}
	}, false), nil
}

// copyFiles copies whole files. Those that are being written have no name in the documents.
func copyFiles(from, to string) error {
	return filepath.WalkDir(from, func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		if !d.Type().IsRegular() || strings.HasSuffix(name, blobdisk.Partial) {
			return nil
		}
		_, err = copyFile(name, filepath.Join(to, rel))
		if errors.Is(err, fs.ErrNotExist) { // an upload that failed since the folder was listed
			err = nil
		}
		return err
	})
}

// verifyFiles reads the files of a stopped server in its data folder and compares them with what the documents say.
func verifyFiles(ctx context.Context, data string, report func(string, any)) (string, error) {
	file := filepath.Join(data, documentsName)
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		return "no files", nil
	}
	n, elsewhere, err := blobdisk.Verify(ctx, file, filepath.Join(data, filesName), placeDisk, func(line string) { report(filesName, line) })
	done := fmt.Sprintf("%s: %d files", filesName, n)
	if elsewhere > 0 {
		done += fmt.Sprintf("; %d more lie elsewhere and were not read", elsewhere)
	}
	return done, err
}
