package sqlkit

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/isobar-iot/isobar/fault"
)

// Fault gives the raw error of a driver its kind, once, at the face of a component: a missing row is NotFound, a taken key Exists, a full
// disk Full, a database that is closed or out of reach Unavailable. An error that has a kind keeps it; nil stays nil.
func Fault(op fault.Op, err error) error {
	var known *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return fault.E(op, fault.NotFound, err)
	case IsUnique(err):
		return fault.E(op, fault.Exists, err)
	case IsFull(err):
		return fault.E(op, fault.Full, err)
	case errors.Is(err, ErrClosed), unreachable(err):
		return fault.E(op, fault.Unavailable, err)
	}
	return fault.E(op, err)
}

// unreachable reports whether the database server could not be reached, or went away while it was asked.
func unreachable(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	var pg *pgconn.PgError
	if errors.As(err, &pg) { // class 57: the operator intervened (shutdown, crash); 53300: too many connections
		return pg.Code[:2] == "57" || pg.Code == "53300"
	}
	return errors.As(err, &connect) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.As(err, &network)
}
