package smartrest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/fault"
)

// Code is the first field of a line on s/e.
type Code int

// The codes. Their meaning is that of SmartREST 1; SmartREST 2 leaves them open.
const (
	CodeUnknown   Code = 40 // there is no such template
	CodeExists    Code = 41 // it exists already
	CodeMalformed Code = 42 // the line cannot be read
	CodeArgument  Code = 45 // a parameter is missing or not acceptable
	CodeServer    Code = 50 // the server could not do it; an HTTP status follows the message id
)

// maxEchoedID is the longest message id that is sent back: an error must not be larger than what caused it.
const maxEchoedID = 32

// LineError says why one line had no effect. It is meant for the topic s/e.
type LineError struct {
	Code      Code
	MessageID string // the first field of the line, empty if there was none
	Status    int    // the HTTP status, with CodeServer only
	Text      string
}

// Error returns the text for logs.
func (e *LineError) Error() string {
	return fmt.Sprintf("smartrest: message %q: %s (%d)", e.MessageID, e.Text, e.Code)
}

// Line returns the line for s/e: "40,999,there is no template 999".
func (e *LineError) Line() string {
	code := strconv.Itoa(int(e.Code))
	if e.Code == CodeServer {
		return FormatLine(code, e.MessageID, strconv.Itoa(e.Status), e.Text)
	}
	return FormatLine(code, e.MessageID, e.Text)
}

// Failed returns the LineError for a command that was understood but could not be executed.
//
// c8y: a repeated 100 is answered with "41,100,Device already exists".
func Failed(messageID string, err error) *LineError {
	kind := fault.KindOf(err)
	if kind == fault.Exists {
		if messageID == "100" {
			return &LineError{Code: CodeExists, MessageID: messageID, Text: "Device already exists"}
		}
		return &LineError{Code: CodeExists, MessageID: messageID, Text: fault.Message(err)}
	}
	return &LineError{Code: CodeServer, MessageID: messageID, Status: kind.Row().HTTP, Text: fault.Message(err)}
}

// malformed returns the error for a line that cannot be read. Its id is the first field, as far as that can be made out.
func malformed(line []byte, format string, args ...any) *LineError {
	f := SplitFields(strings.ToValidUTF8(string(line[:min(len(line), maxEchoedID)]), "\uFFFD"))
	id, _ := f.Next()
	return &LineError{Code: CodeMalformed, MessageID: id, Text: fmt.Sprintf(format, args...)}
}

// unknown returns the error for an id that is in no table.
func unknown(id string) *LineError {
	if id == "" {
		return &LineError{Code: CodeUnknown, Text: "the message id is missing"}
	}
	if len(id) > maxEchoedID {
		id = strings.ToValidUTF8(id[:maxEchoedID], "")
	}
	return &LineError{Code: CodeUnknown, MessageID: id, Text: "there is no template " + id}
}
