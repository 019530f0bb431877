package fault

import "log/slog"

// Kind classifies an error. The set is closed: a new kind needs a row in the table below.
type Kind uint8

// The kinds.
const (
	Invalid         Kind = iota + 1 // understood, but not acceptable: a missing member, a wrong type, an impossible value
	Malformed                       // not understood at all: the bytes are not what they claim to be
	Unauthenticated                 // who are you?
	Denied                          // you may not
	NotFound                        // it does not exist, or you may not know that it does
	Gone                            // it existed, and was taken out of use for good
	Exists                          // it exists already
	Conflict                        // it cannot be done in the present state of things
	TooLarge                        // beyond a limit on size or depth
	Exhausted                       // a rate or quota is used up; try later
	Unsupported                     // this is not offered here
	MediaType                       // the body is of a kind that is not taken here
	Precondition                    // what the client made a condition does not hold (any more)
	Unavailable                     // a part that is needed does not answer; try later
	Canceled                        // the client went away
	Deadline                        // it took too long
	Full                            // no space left to store it
	Corrupt                         // stored data is damaged
	Internal                        // our defect
	lastKind
)

// Row is how one kind looks on every wire. It is the only place where that is decided.
type Row struct {
	Name    string     // for logs and docs/reference/errors.md
	HTTP    int        // RFC 9110 status
	C8y     string     // c8y: the part after the slash of the member "error"
	MQTT5   byte       // reason code, MQTT 5.0 section 2.4
	CoAP    byte       // code, RFC 7252 section 5.9 (class<<5 | detail)
	Exit    int        // exit code of the command line
	Level   slog.Level // a client's mistake is Debug
	Retry   bool       // the same request may succeed later
	Default string     // the message when none is given
}

var table = [lastKind]Row{
	Invalid:         {"invalid", 422, "Invalid Data", 0x99, 0x80, 2, slog.LevelDebug, false, "the request is not acceptable"},
	Malformed:       {"malformed", 400, "Bad Request", 0x99, 0x80, 2, slog.LevelDebug, false, "the request could not be understood"},
	Unauthenticated: {"unauthenticated", 401, "Unauthorized", 0x86, 0x81, 4, slog.LevelDebug, false, "Invalid credentials! : Bad credentials"},
	Denied:          {"denied", 403, "Forbidden", 0x87, 0x83, 4, slog.LevelDebug, false, "Access is denied"},
	NotFound:        {"not found", 404, "Not Found", 0x8F, 0x84, 3, slog.LevelDebug, false, "not found"},
	Gone:            {"gone", 410, "Gone", 0x8F, 0x84, 3, slog.LevelDebug, false, "it is not offered any more"},
	Exists:          {"exists", 409, "Duplicate", 0x83, 0x89, 3, slog.LevelDebug, false, "it exists already"},
	Conflict:        {"conflict", 409, "Conflict", 0x83, 0x89, 3, slog.LevelDebug, false, "it is in conflict with the present state"},
	TooLarge:        {"too large", 413, "Payload Too Large", 0x95, 0x8D, 2, slog.LevelDebug, false, "the request is too large"},
	Exhausted:       {"exhausted", 429, "Too Many Requests", 0x96, 0x9D, 5, slog.LevelInfo, true, "Too Many Requests"},
	Unsupported:     {"unsupported", 405, "Method Not Allowed", 0x83, 0x85, 2, slog.LevelDebug, false, "this is not supported"},
	MediaType:       {"media type", 415, "Unsupported Media Type", 0x99, 0x8F, 2, slog.LevelDebug, false, "the body is of a kind that is not taken here"},
	Precondition:    {"precondition", 412, "Precondition Failed", 0x83, 0x8C, 3, slog.LevelDebug, false, "it was changed meanwhile"},
	Unavailable:     {"unavailable", 503, "Service Unavailable", 0x88, 0xA3, 5, slog.LevelWarn, true, "the service is not available, try again later"},
	Canceled:        {"canceled", 499, "Canceled", 0x83, 0xA0, 5, slog.LevelDebug, true, "the request was canceled"},
	Deadline:        {"deadline", 504, "Timeout", 0x83, 0xA4, 5, slog.LevelWarn, true, "the request took too long"},
	Full:            {"full", 507, "Insufficient Storage", 0x97, 0xA3, 5, slog.LevelError, true, "no space is left to store the data"},
	Corrupt:         {"corrupt", 500, "Internal Server Error", 0x83, 0xA0, 6, slog.LevelError, false, "stored data is damaged"},
	Internal:        {"internal", 500, "Internal Server Error", 0x83, 0xA0, 1, slog.LevelError, false, "internal error"},
}

// Kinds lists every kind, in the order of the table.
func Kinds() []Kind {
	out := make([]Kind, 0, lastKind-1)
	for k := Invalid; k < lastKind; k++ {
		out = append(out, k)
	}
	return out
}

// Row returns how the kind looks on every wire. An unknown kind looks like Internal.
func (k Kind) Row() Row {
	if k == 0 || k >= lastKind {
		return table[Internal]
	}
	return table[k]
}

// String returns the name of the kind.
func (k Kind) String() string { return k.Row().Name }

// Default returns the message for clients when none is given.
func (k Kind) Default() string { return k.Row().Default }

// Ours reports whether the kind is a defect on our side, whose cause clients must not read.
func (k Kind) Ours() bool { return k == Internal || k == Corrupt || k == 0 }
