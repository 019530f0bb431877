package auditsql

import (
	"context"
	"database/sql"
)

// OnTx reads what a transaction sees, so that a test can tamper and roll back.
type OnTx struct{ *Reader }

// Begin does nothing: the transaction is the state.
func (OnTx) Begin(context.Context) error { return nil }

// NewOnTx returns a reader on a transaction.
func NewOnTx(tx *sql.Tx, postgres bool) OnTx { return OnTx{&Reader{tx: tx, postgres: postgres}} }
