package telemetry

import (
	"context"
	"encoding/json"
	"io"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/blob"
	"github.com/isobar-iot/isobar/security/access"
)

// MaxAttachment is the largest attachment of an event in bytes.
const MaxAttachment = 50 << 20

// Attachment describes the file of an event. Its JSON form is the fragment c8y_IsBinary of the event.
type Attachment struct {
	Event  iot.ID `json:"-"`
	Name   string `json:"name"`
	Length int64  `json:"length"`
	Type   string `json:"type"`
}

func blobKey(id iot.ID) string { return "event/" + id.String() }

// Attach stores the file of an event; its name defaults to the event's id. If there is one already, it is replaced or, without replace,
// a fault of kind Exists. More than MaxAttachment is TooLarge.
func (tm *Telemetry) Attach(ctx context.Context, p iot.Principal, id iot.ID, name, contentType string, r io.Reader, replace bool) (Attachment, error) {
	const op = fault.Op("telemetry.Attach")
	if name == "" {
		name = id.String()
	}
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	if err := storable(op, nil, contentType, name); err != nil {
		return Attachment{}, err
	}
	if _, err := tm.event(ctx, p, id, access.Admin); err != nil {
		return Attachment{}, err
	}
	put := tm.d.Blobs.Create
	if replace {
		put = tm.d.Blobs.Put
	}
	size, _, err := put(ctx, p.Tenant, blobKey(id), r, MaxAttachment)
	if fault.Is(err, fault.Exists) {
		return Attachment{}, fault.E(op, fault.Subject(id.String()), err, "An attachment exists already")
	}
	if err != nil {
		return Attachment{}, fault.E(op, err)
	}
	a := Attachment{Event: id, Name: name, Length: size, Type: contentType}
	raw, err := json.Marshal(a)
	if err == nil {
		_, err = tm.changeEvent(ctx, op, p, id, func(e iot.Event) (iot.Event, error) {
			e.Fragments = e.Fragments.Merge(iot.Doc{{Name: iot.FragmentIsBinary, Raw: raw}})
			return e, nil
		})
	}
	if fault.Is(err, fault.NotFound) { // deleted while the file was uploaded
		_, _ = tm.d.Blobs.Delete(ctx, p.Tenant, blobKey(id))
	}
	return a, err
}

// Attachment returns the file of an event.
func (tm *Telemetry) Attachment(ctx context.Context, p iot.Principal, id iot.ID) (Attachment, *blob.Blob, error) {
	const op = fault.Op("telemetry.Attachment")
	e, err := tm.event(ctx, p, id, access.Read)
	if err != nil {
		return Attachment{}, nil, err
	}
	a := Attachment{Name: id.String()}
	if raw := e.Fragments.Get(iot.FragmentIsBinary); raw != nil {
		_ = json.Unmarshal(raw, &a) // a client may have overwritten the fragment; the file is there nevertheless
	}
	b, err := tm.d.Blobs.Find(ctx, p.Tenant, blobKey(id))
	if err != nil {
		return Attachment{}, nil, noDocument(op, "attachment", id.String(), err)
	}
	a.Event, a.Length = id, b.Size
	return a, b, nil
}

// Detach removes the file of an event.
func (tm *Telemetry) Detach(ctx context.Context, p iot.Principal, id iot.ID) error {
	const op = fault.Op("telemetry.Detach")
	if _, err := tm.event(ctx, p, id, access.Admin); err != nil {
		return err
	}
	found, err := tm.d.Blobs.Delete(ctx, p.Tenant, blobKey(id))
	if err != nil {
		return err
	}
	if !found {
		return noDocument(op, "attachment", id.String(), fault.E(op, fault.NotFound))
	}
	_, err = tm.changeEvent(ctx, op, p, id, func(e iot.Event) (iot.Event, error) {
		e.Fragments = e.Fragments.Without(iot.FragmentIsBinary)
		return e, nil
	})
	return err
}

// detach removes the files of events that are gone. What fails stays as an unreachable blob.
func detach(ctx context.Context, d Deps, t iot.TenantID, gone []iot.Event) {
	for _, e := range gone {
		if !e.Fragments.Has(iot.FragmentIsBinary) {
			continue
		}
		if _, err := d.Blobs.Delete(ctx, t, blobKey(e.ID)); err != nil {
			d.Log.Warn("delete an attachment", "tenant", t, "err", err)
		}
	}
}
