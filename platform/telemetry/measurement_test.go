package telemetry_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/engine/series"
	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/telemetry"
)

func value(text string) iot.Number {
	n, err := iot.ParseNumber(text)
	if err != nil {
		panic(err)
	}
	return n
}

func reading(source iot.ID, seconds int, number string) iot.Measurement {
	return iot.Measurement{Source: source, Time: start.Add(time.Duration(seconds) * time.Second), Type: "temp", Samples: []iot.Sample{{Fragment: "c8y_T", Series: "T", Unit: "C", Value: value(number)}}}
}

func TestRecordStoresAndPublishes(t *testing.T) {
	f := simple(t)
	facts := f.listen("measurement.>")
	ms, err := f.tm.Record(ctx, device, iot.Persistent, []iot.Measurement{reading(f.dev, 1, "16.0"), reading(f.dev, 1, "17")})
	f.must(err)
	if ms[0].ID() == ms[1].ID() {
		t.Error("two measurements have one id")
	}
	m := f.next(facts)
	batch, err := telemetry.DecodeMeasurements(m.data)
	if err != nil || m.subject != "measurement.CREATE" || batch.Action != iot.Created || len(batch.Measurements) != 2 || batch.Measurements[0].Samples[0].Value.String() != "16.0" {
		t.Errorf("fact %s %s: %+v, %v", m.subject, m.data, batch, err)
	}
	got, err := f.tm.Measurement(ctx, device, ms[1].ID())
	if err != nil || got.Samples[0].Value.String() != "17" {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = f.tm.Measurement(ctx, foreign, ms[1].ID())
	f.kind("another tenant", err, fault.NotFound)
	_, err = f.tm.Measurement(ctx, nobody, ms[1].ID())
	f.denied("a user without permission", err)
}

func TestRecordRefuses(t *testing.T) {
	f := simple(t)
	_, err := f.tm.Record(ctx, nobody, iot.Persistent, []iot.Measurement{reading(f.dev, 1, "1")})
	f.denied("nobody", err)
	_, err = f.tm.Record(ctx, device, iot.Persistent, []iot.Measurement{reading(f.dev, 1, "1"), reading(f.other, 1, "1")})
	f.denied("a foreign source among own ones", err)
	_, err = f.tm.Record(ctx, foreign, iot.Persistent, []iot.Measurement{reading(f.dev, 1, "1")})
	f.kind("a foreign tenant", err, fault.NotFound)
	_, err = f.tm.Record(ctx, admin, iot.Persistent, []iot.Measurement{{Source: f.dev}})
	f.kind("no time and type", err, fault.Invalid)
	if got := fault.Message(err); got != "Following mandatory fields should be included: time, type" {
		t.Errorf("message %q", got)
	}
	if _, n, err := f.tm.Measurements(ctx, admin, telemetry.MeasurementQuery{Count: true}); n != 0 || err != nil {
		t.Errorf("%d measurements were stored, %v", n, err)
	}
}

func TestProcessingModesOfMeasurements(t *testing.T) {
	f := simple(t)
	facts := f.listen("measurement.>")
	stored := 0
	for _, c := range []struct {
		mode    iot.ProcessingMode
		subject string
		stores  int
	}{{iot.Transient, "measurement.CREATE", 0}, {iot.CEP, "measurement.CREATE.rules", 0}, {iot.Quiescent, "measurement.CREATE.rules", 1}} {
		_, err := f.tm.Record(ctx, device, c.mode, []iot.Measurement{reading(f.dev, 1, "1")})
		f.must(err)
		if c.subject != "" {
			if m := f.next(facts); m.subject != c.subject {
				t.Errorf("mode %d: published on %s", c.mode, m.subject)
			}
		}
		f.quiet(facts, "measurement.x")
		stored += c.stores
		if _, n, _ := f.tm.Measurements(ctx, admin, telemetry.MeasurementQuery{Count: true}); n != stored {
			t.Errorf("mode %d: %d stored", c.mode, n)
		}
	}
}

func TestMeasurementsOfARestrictedUser(t *testing.T) {
	f := simple(t)
	second := f.object(device, `{"name":"second"}`)
	var all []iot.Measurement
	for i := range 10 {
		all = append(all, reading(f.dev, i, fmt.Sprint(i)), reading(second, i, fmt.Sprint(100+i)), reading(f.other, i, "0"))
	}
	_, err := f.tm.Record(ctx, admin, iot.Persistent, all)
	f.must(err)
	for _, reverse := range []bool{false, true} {
		var got []string
		for offset := 0; offset < 21; offset += 3 {
			page, n, err := f.tm.Measurements(ctx, device, telemetry.MeasurementQuery{Offset: offset, Limit: 3, Count: true, Reverse: reverse})
			if err != nil || n != 20 {
				t.Fatalf("total %d, %v", n, err)
			}
			for _, m := range page {
				got = append(got, m.Samples[0].Value.String())
			}
		}
		if len(got) != 20 || got[0] != map[bool]string{false: "0", true: "109"}[reverse] || got[1] != map[bool]string{false: "100", true: "9"}[reverse] {
			t.Errorf("reverse %v: %v", reverse, got)
		}
	}
	if page, n, err := f.tm.Measurements(ctx, device, telemetry.MeasurementQuery{Source: f.other, Limit: 5, Count: true}); err != nil || n != 0 || len(page) != 0 {
		t.Errorf("a foreign source: %v, %v", page, err)
	}
	_, _, err = f.tm.Measurements(ctx, nobody, telemetry.MeasurementQuery{Limit: 5})
	f.denied("who owns nothing", err)
	at := start.Add(3 * time.Second)
	if page, n, err := f.tm.Measurements(ctx, admin, telemetry.MeasurementQuery{Source: f.dev, From: at, To: at, Limit: 5, Count: true}); err != nil || n != 1 || page[0].Samples[0].Value.String() != "3" {
		t.Errorf("equal bounds: %v, %v", page, err)
	}
	chart, err := f.tm.Series(ctx, device, telemetry.SeriesQuery{Source: f.dev, From: start, To: start.Add(time.Hour), Interval: series.Interval{N: 1, Unit: series.Hour}})
	if err != nil || len(chart.Rows) != 1 || chart.Rows[0].Stats[0].Count != 10 {
		t.Errorf("series %+v, %v", chart, err)
	}
	_, err = f.tm.Series(ctx, device, telemetry.SeriesQuery{Source: f.other})
	f.denied("a foreign chart", err)
	if infos, err := f.tm.SupportedSeries(ctx, device, f.dev); err != nil || len(infos) != 1 || infos[0].Unit != "C" {
		t.Errorf("series %v, %v", infos, err)
	}
}

func TestDeleteMeasurements(t *testing.T) {
	f := simple(t)
	facts := f.listen("measurement.DELETE")
	ms, err := f.tm.Record(ctx, admin, iot.Persistent, []iot.Measurement{reading(f.dev, 1, "1"), reading(f.dev, 2, "2"), reading(f.other, 2, "3")})
	f.must(err)
	f.kind("no bound", f.tm.DeleteMeasurements(ctx, admin, telemetry.MeasurementQuery{Type: "temp"}), fault.Invalid)
	f.denied("all sources", f.tm.DeleteMeasurements(ctx, device, telemetry.MeasurementQuery{From: start}))
	f.denied("a foreign measurement", f.tm.DeleteMeasurement(ctx, device, ms[2].ID()))
	f.must(f.tm.DeleteMeasurement(ctx, device, ms[0].ID()))
	if b, err := telemetry.DecodeMeasurements(f.next(facts).data); err != nil || b.Action != iot.Deleted || len(b.Measurements) != 1 || b.Measurements[0].ID() != ms[0].ID() {
		t.Errorf("fact %+v, %v", b, err)
	}
	f.kind("again", f.tm.DeleteMeasurement(ctx, device, ms[0].ID()), fault.NotFound)
	f.must(f.tm.DeleteMeasurements(ctx, device, telemetry.MeasurementQuery{Source: f.dev}))
	if left, _, err := f.tm.Measurements(ctx, admin, telemetry.MeasurementQuery{Limit: 9}); err != nil || len(left) != 1 || left[0].Source != f.other {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestBatchSurvivesItsJSONForm(t *testing.T) {
	in := telemetry.MeasurementBatch{Action: iot.Created, Measurements: []iot.Measurement{
		{Source: 7, Time: iot.FromMillis(-5), Seq: 3, Type: "ty\"pe ☃", Samples: []iot.Sample{{Fragment: "f]", Series: "s,", Unit: "°C", Value: value("-0.50")}, {Fragment: "f", Series: "\\", Value: value("1e300")}},
			Extra: parse(t, `{"a":{"b":["]}",{"c":null}]},"d":"\"}"}`)},
		{Source: 8, Time: iot.FromMillis(0)},
	}}
	for name, decode := range map[string]func([]byte) (telemetry.MeasurementBatch, error){
		"fast": telemetry.DecodeMeasurements,
		"encoding/json": func(b []byte) (out telemetry.MeasurementBatch, err error) {
			return out, json.Unmarshal(b, &out)
		},
	} {
		out, err := decode(in.AppendTo(nil))
		if err != nil || !reflect.DeepEqual(in, out) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", name, err, out, in)
		}
	}
	data := in.AppendTo(nil)
	for i := range data {
		if _, err := telemetry.DecodeMeasurements(data[:i]); err == nil {
			t.Errorf("the first %d bytes were taken", i)
		}
	}
	if !json.Valid(data) {
		t.Errorf("not JSON: %s", data)
	}
}

func FuzzDecodeMeasurements(f *testing.F) {
	f.Add([]byte(`{"Action":"CREATE","Measurements":[{"Source":1,"Time":2,"Seq":0,"Samples":[["a","b","",1.5]],"Extra":{"x":[1]}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := telemetry.DecodeMeasurements(data); err == nil {
			if _, err := telemetry.DecodeMeasurements(b.AppendTo(nil)); err != nil {
				t.Errorf("%q is read, but not what it is written as: %v", data, err)
			}
		}
	})
}

func TestLatestOfSeveralSources(t *testing.T) {
	f := simple(t)
	_, err := f.tm.Record(ctx, admin, iot.Persistent, []iot.Measurement{reading(f.dev, 5, "16.0"), reading(f.dev, 1, "17"), reading(f.other, 9, "3")})
	f.must(err)
	got, err := f.tm.Latest(ctx, admin, []iot.ID{f.dev, f.other}, nil)
	f.must(err)
	if len(got) != 2 || got[0].Source != f.dev || got[0].Value.String() != "16.0" || got[0].At.MS != start.Add(5*time.Second).UnixMilli() || got[1].Source != f.other {
		t.Errorf("got %+v", got)
	}
	_, err = f.tm.Latest(ctx, device, []iot.ID{f.dev, f.other}, nil)
	f.denied("a foreign source among own ones", err)
	_, err = f.tm.Latest(ctx, foreign, []iot.ID{f.dev}, nil)
	f.kind("another tenant", err, fault.NotFound)
}

func TestRetainRemovesWhatIsOld(t *testing.T) {
	f := simple(t)
	_, err := f.tm.Record(ctx, admin, iot.Persistent, []iot.Measurement{reading(f.dev, 1, "1"), reading(f.dev, 9, "2"), reading(f.other, 1, "3")})
	f.must(err)
	facts := f.listen("measurement.>")
	n, err := f.tm.Retain(ctx, "acme", telemetry.RetentionQuery{Before: start.Add(5 * time.Second), Type: "other"})
	if n != 0 || err != nil {
		t.Errorf("of another type %d were removed, %v", n, err)
	}
	n, err = f.tm.Retain(ctx, "acme", telemetry.RetentionQuery{Before: start.Add(5 * time.Second)})
	if n != 2 || err != nil {
		t.Errorf("%d were removed, %v", n, err)
	}
	if m := f.next(facts); m.subject != "measurement.DELETE" {
		t.Errorf("fact %s", m.subject)
	}
	if left, _, err := f.tm.Measurements(ctx, admin, telemetry.MeasurementQuery{Limit: 9}); len(left) != 1 || err != nil || left[0].Samples[0].Value.String() != "2" {
		t.Errorf("left are %+v, %v", left, err)
	}
	_, err = f.tm.Retain(ctx, "acme", telemetry.RetentionQuery{})
	f.kind("no age", err, fault.Invalid)
}
