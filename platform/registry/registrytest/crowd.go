package registrytest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/kit/sqlkit"
	"github.com/isobar-iot/isobar/platform/registry"
)

// crowdBlock is how many objects of a crowd are made one by one; crowdStep is the distance of the ids of a copy to those of its model.
const (
	crowdBlock = 1000
	crowdStep  = 100_000
)

// Groups of a crowd: Large ones hold a thousand devices each, small ones fifty.
type Groups struct{ Large, Small []iot.ID }

// crowdTables are the tables with one row or more per object, whose rows are copied with it.
var crowdTables = []struct{ name, columns, values string }{
	{"managed_object", "tenant, id, type, name, owner, is_device, is_global, created, updated, doc, rev_by, rev_set",
		"tenant, id + ?, type, name || '-' || ?, owner, is_device, is_global, created, updated + ?, doc, rev_by, rev_set || '-' || id || '-' || ?"},
	{"object_fragment", "tenant, fragment, id", "tenant, fragment, id + ?"},
	{"object_value", "tenant, path, value, id", "tenant, path, value, id + ?"},
	{"object_above", "tenant, ancestor, id", "tenant, ancestor + ?, id + ?"},
	{"object_state", "tenant, id, last_message, availability, connection, has_alarms, critical, major, minor, warning, required",
		"tenant, id + ?, last_message, availability, connection, has_alarms, critical, major, minor, warning, required"},
	{"external_id", "tenant, type, value, id", "tenant, type, value || '-' || ?, id + ?"},
}

// Crowd fills a tenant with n thousand objects that look like those of a real fleet: twelve fragments each, of ten types and seven models, four of
// five of them devices, one of a hundred without a position, states of availability as such fleets have them. The first thousand are made through
// the store; the others are copies of them that the database makes, because a hundred thousand one by one would take minutes. Half of the
// forty groups are large. It also lets the engine learn of what is in its tables, as time would.
func Crowd(tb testing.TB, db *sqlkit.DB, s registry.Driver, t iot.TenantID, n int) (g Groups) {
	tb.Helper()
	ctx := context.Background()
	check := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	id := func() iot.ID {
		id, err := s.NextID(ctx, t)
		check(err)
		return id
	}
	for i := range 40 {
		to := &g.Large
		if i >= 20 {
			to = &g.Small
		}
		*to = append(*to, id())
		check(s.Create(ctx, t, []registry.New{{Object: crowdObject(tb, (*to)[len(*to)-1], fmt.Sprint("group ", i), `{"c8y_IsDeviceGroup":{},"type":"c8y_DeviceGroup"}`)}}, crowdRevision))
	}
	var batch []registry.New
	touches := map[iot.ID]registry.Touch{}
	for i := range crowdBlock {
		o := crowdDevice(tb, id(), i)
		batch = append(batch, registry.New{Object: o, ExternalIDs: []iot.ExternalID{{Type: "c8y_Serial", Value: fmt.Sprintf("SN-%06d", i), ID: o.ID}}})
		touches[o.ID] = registry.Touch{LastMessage: time.UnixMilli(1_700_000_000_000), Availability: []string{"AVAILABLE", "AVAILABLE", "AVAILABLE", "UNAVAILABLE", "MAINTENANCE"}[i%5]}
	}
	check(s.Create(ctx, t, batch, crowdRevision))
	check(s.Touch(ctx, t, touches))
	first, last := int64(batch[0].Object.ID), int64(batch[len(batch)-1].Object.ID)
	for k := 1; k < n; k++ {
		check(db.Write(ctx, func(tx *sqlkit.Tx) error { return crowdCopy(ctx, tx, t, first, last, int64(k)) }))
	}
	for i, group := range append(g.Large, g.Small...) {
		end := last
		if i >= 20 {
			end = first + 49
		}
		k := int64(i%max(n, 1)) * crowdStep
		check(db.Write(ctx, func(tx *sqlkit.Tx) error { return crowdGroup(ctx, tx, t, int64(group), first+k, end+k) }))
	}
	check(db.Write(ctx, func(tx *sqlkit.Tx) error { _, err := tx.Exec(ctx, "ANALYZE"); return err }))
	return g
}

// crowdCopy makes the kth copy of the first thousand.
func crowdCopy(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, first, last, k int64) error {
	for _, table := range crowdTables {
		var args []any
		values := table.values
		for strings.Contains(values, "?") {
			if before, after, _ := strings.Cut(values, "?"); strings.HasSuffix(before, "'-' || ") {
				values = before + fmt.Sprint("'", k, "'") + after
			} else {
				values = before + fmt.Sprint(k*crowdStep) + after
			}
		}
		args = append(args, string(t), first, last)
		if _, err := tx.Exec(ctx, `INSERT INTO `+table.name+` (`+table.columns+`) SELECT `+values+` FROM `+table.name+` WHERE tenant = ? AND id BETWEEN ? AND ?`, args...); err != nil {
			return err
		}
	}
	return nil
}

// crowdGroup hangs a range of objects below a group.
func crowdGroup(ctx context.Context, tx *sqlkit.Tx, t iot.TenantID, group, first, last int64) error {
	if _, err := tx.Exec(ctx, `INSERT INTO object_child (tenant, parent, kind, child, pos) SELECT tenant, CAST(? AS BIGINT), CAST(? AS BIGINT), id, id FROM managed_object
		WHERE tenant = ? AND id BETWEEN ? AND ?`, group, int64(iot.ChildAsset), string(t), first, last); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `INSERT INTO object_above (tenant, ancestor, id) SELECT tenant, CAST(? AS BIGINT), id FROM managed_object WHERE tenant = ? AND id BETWEEN ? AND ?`,
		group, string(t), first, last)
	return err
}

var crowdRevision = sqlkit.Revision{At: time.UnixMilli(1_700_000_000_000), By: "admin", Set: "crowd"}

func crowdObject(tb testing.TB, id iot.ID, name, doc string) iot.ManagedObject {
	tb.Helper()
	d, err := iot.ParseDoc([]byte(doc), iot.MaxDepth)
	if err != nil {
		tb.Fatal(err)
	}
	typ, _ := d.Text("type")
	return iot.ManagedObject{ID: id, Type: typ, Name: name, Owner: "admin", CreationTime: crowdRevision.At, LastUpdated: crowdRevision.At, Fragments: d.Without("type")}
}

// crowdDevice is the ith object of a crowd.
func crowdDevice(tb testing.TB, id iot.ID, i int) iot.ManagedObject {
	var b strings.Builder
	fmt.Fprintf(&b, `{"type":"c8y_Kind%d"`, i%10)
	if i%5 != 4 {
		b.WriteString(`,"c8y_IsDevice":{},"com_cumulocity_model_Agent":{}`)
	}
	if i%100 != 99 {
		fmt.Fprintf(&b, `,"c8y_Position":{"lat":51.%04d,"lng":6.%04d,"alt":%d,"trackingProtocol":"TELIC"}`, i, i*7%10000, i%300)
	}
	fmt.Fprintf(&b, `,"c8y_Hardware":{"model":"Model %c","serialNumber":"SN-%06d","revision":"1.%d"}`, 'A'+rune(i%7), i, i%4)
	fmt.Fprintf(&b, `,"c8y_Firmware":{"name":"core","version":"2.%d.%d","url":"https://firmware.example.com/core/2.%d"}`, i%5, i%11, i%5)
	b.WriteString(`,"c8y_SoftwareList":[{"name":"modbus","version":"1.0.3","url":""},{"name":"logger","version":"4.2.0","url":""},{"name":"watchdog","version":"0.9.1","url":""}]`)
	fmt.Fprintf(&b, `,"c8y_Mobile":{"imei":"35%013d","cellId":"4711-%d","iccid":"89490200%011d","mcc":"262","mnc":"02","lac":"%d"}`, i, i, i, i%60)
	b.WriteString(`,"c8y_SupportedOperations":["c8y_Restart","c8y_Configuration","c8y_Software","c8y_Firmware","c8y_LogfileRequest","c8y_Command"]`)
	b.WriteString(`,"c8y_SupportedLogs":["syslog","dmesg","agentlog"]`)
	fmt.Fprintf(&b, `,"c8y_Network":{"c8y_LAN":{"ip":"10.0.%d.%d","netmask":"255.255.255.0","enabled":1},"c8y_DHCP":{"enabled":0}}`, i%250, i%200)
	fmt.Fprintf(&b, `,"c8y_Configuration":{"config":"interval=%d;server=mqtt.example.com;port=8883"}`, i%60)
	fmt.Fprintf(&b, `,"c8y_RequiredAvailability":{"responseInterval":%d}`, 10+i%3*10)
	fmt.Fprintf(&b, `,"c8y_Notes":"Installed by the team of the north, hall %d, row %d; last inspection without findings"}`, i%12, i%31)
	return crowdObject(tb, id, fmt.Sprintf("pump %04d", i*389%1000), b.String())
}
