package c8yrest

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
)

// Entity tags of documents are weak, as an answer may be packed or not: W/"<version>.<hash of the answer>". The version changes with what clients write; the hash
// also with what the platform keeps beside it and with the parameters of the request.

// unchanged gives an answer its entity tag, and answers without a body if the client has it already.
func (c *call) unchanged(body []byte) bool {
	sum := sha256.Sum256(append([]byte(c.mediaType("x")+"\n"), body...))
	tag := `"` + c.version + "." + short(sum) + `"`
	h := c.w.Header()
	h.Set("ETag", "W/"+tag)
	h.Add("Vary", "Accept, Authorization")
	if c.route.Access == Public {
		h.Set("Cache-Control", "no-cache") // may be kept, but is asked for again
	}
	if !matches(c.r.Header.Get("If-None-Match"), tag) {
		return false
	}
	c.w.WriteHeader(http.StatusNotModified)
	return true
}

func short(sum [sha256.Size]byte) string { return base64.RawURLEncoding.EncodeToString(sum[:9]) }

// versionOf names the version of an object that a client wrote last.
func versionOf(o iot.ManagedObject) string {
	b := strconv.AppendInt(nil, o.LastUpdated.UnixMilli(), 10)
	for _, s := range []string{o.Type, o.Name, string(o.Owner)} {
		b = append(strconv.AppendInt(append(b, ' '), int64(len(s)), 10), s...)
	}
	return short(sha256.Sum256(o.Fragments.AppendTo(b)))
}

// ifMatch is the header If-Match, empty if the request demands nothing.
func (c *call) ifMatch() string { return strings.Join(c.r.Header.Values("If-Match"), ",") }

// condition is what the header If-Match demands of the version that a client wants to change, nil if it demands nothing. c8y: without the header the last one wins.
func (c *call) condition() func(iot.ManagedObject) error {
	header := c.ifMatch()
	if header == "" {
		return nil
	}
	return func(o iot.ManagedObject) error {
		version := versionOf(o)
		for tag := range strings.SplitSeq(header, ",") {
			tag = strings.TrimSpace(tag)
			given, _, _ := strings.Cut(strings.Trim(strings.TrimPrefix(tag, "W/"), `"`), ".")
			if tag == "*" || given == version {
				return nil
			}
		}
		return fault.E(fault.Op("c8yrest.IfMatch"), fault.Precondition, fault.Subject(o.ID.String()), "the object was changed since it was read: read it again")
	}
}

// fileCondition refuses a change of a stored file unless it is one that the header If-Match names. It looks before the change, not in one step with it.
func (c *call) fileCondition(find func() (*blob.Blob, error)) error {
	header := c.ifMatch()
	if header == "" {
		return nil
	}
	b, err := find()
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err == nil && matches(header, `"`+b.SHA256+`"`) {
		return nil
	}
	return fault.E(fault.Op("c8yrest.IfMatch"), fault.Precondition, "the file was replaced since it was read: read it again")
}
