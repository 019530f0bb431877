package blobdisk

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/isobar-iot/isobar/kit/sqlkit"
)

// Verify reads every file below dir that a database of a stopped server names for a place, and reports a line for each that is missing or not as it
// was stored. Content of other places, but for the database itself, is only counted. A database of before files were kept outside has none.
func Verify(ctx context.Context, database, dir, place string, report func(line string)) (files, elsewhere int, err error) {
	column := 0
	if err := sqlkit.ReadFile(ctx, database, `SELECT count(*) FROM pragma_table_info('blob') WHERE name = 'place'`, func(r *sql.Rows) error { return r.Scan(&column) }); err != nil || column == 0 {
		return 0, 0, err
	}
	err = sqlkit.ReadFile(ctx, database, `SELECT tenant, name, upload, sha256, place FROM blob WHERE place <> ''`, func(r *sql.Rows) error {
		var tenant, key, name, sum, at string
		if err := errors.Join(r.Scan(&tenant, &key, &name, &sum, &at), ctx.Err()); err != nil {
			return err
		}
		if at != place || len(name) < 3 {
			elsewhere++
			return nil
		}
		files++
		switch got, err := sumOf(File(dir, name)); {
		case errors.Is(err, fs.ErrNotExist):
			report(key + " of tenant " + tenant + " is missing: " + name)
		case err != nil:
			report(key + " of tenant " + tenant + " cannot be read: " + err.Error())
		case got != sum:
			report(key + " of tenant " + tenant + " was changed: " + name)
		}
		return nil
	})
	return files, elsewhere, err
}

func sumOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.CopyBuffer(struct{ io.Writer }{h}, f, make([]byte, copyBytes))
	return hex.EncodeToString(h.Sum(nil)), err
}
