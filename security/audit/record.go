package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/iot"
)

// maxDoc bounds one record in bytes, so that a batch and a verifier's memory are bounded too. API clients meet the limits of Create first.
const maxDoc = 1 << 20

// Columns are the members of a record that a store may select by. They follow from the record alone, so that Verify can compute them again.
type Columns struct {
	At          int64 // Time in Unix milliseconds
	Type        string
	Account     string
	Application string
	Source      int64
}

func columnsOf(r iot.AuditRecord) Columns {
	return Columns{At: r.Time.UnixMilli(), Type: r.Type, Account: string(r.User), Application: r.Application, Source: int64(r.Source)}
}

// Draft is a record that is ready to be appended: its canonical bytes and its columns.
type Draft struct {
	Columns
	Doc []byte
}

// clean makes s a text that both engines can hold in a column and that a round trip through JSON does not change.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// NewDraft encodes a record without its id, which is not known before it is appended. Texts are made valid UTF-8. It fails if a fragment is not
// JSON or the record is too large.
func NewDraft(r iot.AuditRecord) (Draft, error) {
	r.Type, r.Application, r.User = clean(r.Type), clean(r.Application), iot.UserName(clean(string(r.User)))
	b := make([]byte, 0, 256)
	b = strconv.AppendInt(append(b, `{"time":`...), r.Time.UnixMilli(), 10)
	b = strconv.AppendInt(append(b, `,"creationTime":`...), r.CreationTime.UnixMilli(), 10)
	for _, f := range [...]struct{ name, value string }{{"type", r.Type}, {"activity", r.Activity}, {"text", r.Text}, {"user", string(r.User)},
		{"application", r.Application}, {"severity", r.Severity}} {
		b = append(append(append(b, ',', '"'), f.name...), '"', ':')
		b = iot.AppendText(b, f.value)
	}
	b = strconv.AppendUint(append(b, `,"source":`...), uint64(r.Source), 10)
	if len(r.Changes) > 0 {
		changes, err := json.Marshal(r.Changes)
		if err != nil {
			return Draft{}, err
		}
		b = append(append(b, `,"changes":`...), changes...)
	}
	if len(r.Fragments) > 0 {
		b = r.Fragments.AppendTo(append(b, `,"fragments":`...))
	}
	b = append(b, '}')
	if len(b) > maxDoc {
		return Draft{}, fmt.Errorf("the record has %d bytes, more than %d", len(b), maxDoc)
	}
	if !json.Valid(b) {
		return Draft{}, errors.New("a fragment of the record is not JSON")
	}
	return Draft{Columns: columnsOf(r), Doc: b}, nil
}

// Decode reads what NewDraft has written. id is the record's number in the chain.
func Decode(id iot.ID, doc []byte) (iot.AuditRecord, error) {
	var d struct {
		Time         int64                 `json:"time"`
		CreationTime int64                 `json:"creationTime"`
		Type         string                `json:"type"`
		Activity     string                `json:"activity"`
		Text         string                `json:"text"`
		User         iot.UserName          `json:"user"`
		Application  string                `json:"application"`
		Severity     string                `json:"severity"`
		Source       iot.ID                `json:"source"`
		Changes      []iot.AttributeChange `json:"changes"`
		Fragments    iot.Doc               `json:"fragments"`
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		return iot.AuditRecord{}, fmt.Errorf("audit record %s: %w", id, err)
	}
	return iot.AuditRecord{ID: id, Type: d.Type, Activity: d.Activity, Text: d.Text, User: d.User, Application: d.Application, Source: d.Source, Severity: d.Severity,
		Time: iot.FromMillis(d.Time), CreationTime: iot.FromMillis(d.CreationTime), Changes: d.Changes, Fragments: d.Fragments}, nil
}
