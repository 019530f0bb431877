package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/isobar-iot/isobar/iot"
)

// Op names the operation that failed as "component.Verb".
type Op string

// Subject is what the error is about, as the client knows it: an id, a name, a member of the document.
type Subject string

// Reason is a stable, wire-neutral code for the few errors that clients tell apart within a kind.
type Reason string

// Error is an error with a kind. The zero value is not useful; use E.
type Error struct {
	Op      Op
	Kind    Kind
	Tenant  iot.TenantID
	Subject Subject
	Reason  Reason
	Msg     string        // for the client
	Retry   time.Duration // when trying again makes sense; zero if unknown
	Err     error         // the cause, for us
}

// E makes an *Error from arguments told apart by their type: Op, Kind, iot.TenantID, Subject, Reason, string (message, for the client),
// time.Duration (retry after), error (cause). A cause that is itself an *Error passes on what is not given.
// Any other type is a programmer's error and panics.
func E(args ...any) error {
	e := &Error{}
	for _, a := range args {
		switch a := a.(type) {
		case Op:
			e.Op = a
		case Kind:
			e.Kind = a
		case iot.TenantID:
			e.Tenant = a
		case Subject:
			e.Subject = a
		case Reason:
			e.Reason = a
		case string:
			e.Msg = a
		case time.Duration:
			e.Retry = a
		case error:
			e.Err = a
		case nil:
		default:
			panic(fmt.Sprintf("fault.E: unexpected argument %T", a))
		}
	}
	e.inherit()
	return e
}

func (e *Error) inherit() {
	var inner *Error
	if !errors.As(e.Err, &inner) {
		if e.Kind == 0 {
			e.Kind = KindOf(e.Err)
		}
		return
	}
	if e.Kind == 0 {
		e.Kind = inner.Kind
	}
	if e.Subject == "" {
		e.Subject = inner.Subject
	}
	if e.Reason == "" {
		e.Reason = inner.Reason
	}
	if e.Msg == "" {
		e.Msg = inner.Msg
	}
	if e.Retry == 0 {
		e.Retry = inner.Retry
	}
}

// Errorf makes an *Error of a kind with a formatted message for the client.
func Errorf(op Op, kind Kind, format string, args ...any) error {
	return &Error{Op: op, Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// Error returns the whole chain, for logs.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Op != "" {
		b.WriteString(string(e.Op) + ": ")
	}
	b.WriteString(e.Kind.String())
	if e.Subject != "" {
		b.WriteString(" " + string(e.Subject))
	}
	if e.Msg != "" {
		b.WriteString(": " + e.Msg)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of any error: of the outermost *Error in its chain, Canceled and Deadline for context errors,
// Internal for everything else, and zero for nil.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return Deadline
	}
	return Internal
}

// Is reports whether err is of a kind.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// Message returns what a client may read of err. Errors of kinds that are our fault say nothing about their cause.
func Message(err error) string {
	var e *Error
	if !errors.As(err, &e) || e.Kind.Ours() && e.Msg == "" {
		return KindOf(err).Default()
	}
	if e.Msg == "" {
		return e.Kind.Default()
	}
	return e.Msg
}

// ReasonOf returns the reason of err, empty if it has none.
func ReasonOf(err error) Reason {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return ""
}

// RetryAfter returns when trying again makes sense, zero if unknown.
func RetryAfter(err error) time.Duration {
	var e *Error
	if errors.As(err, &e) {
		return e.Retry
	}
	return 0
}
