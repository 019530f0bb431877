package identity_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/iot"
	"github.com/isobar-iot/isobar/platform/identity"
	"github.com/isobar-iot/isobar/platform/registry"
)

// load registers a file and returns its outcomes, one word each.
func (f *fixture) load(p iot.Principal, file string) string {
	f.Helper()
	out, err := f.s.Bulk(ctx, p, []byte(file))
	f.must(err)
	words := make([]string, len(out))
	for i, o := range out {
		words[i] = fmt.Sprintf("%d:%s:%s", o.Line, o.ID, o.Status)
		if (o.Status == identity.BulkFailed) != (o.Reason != "") {
			f.Errorf("%+v", o)
		}
	}
	return strings.Join(words, " ")
}

// twin is the object of a device.
func (f *fixture) twin(typ, id string) registry.Object {
	f.Helper()
	mo, err := f.reg.Lookup(ctx, "acme", typ, id)
	f.must(err)
	o, err := f.reg.Get(ctx, admin, mo)
	f.must(err)
	return o
}

func TestBulkRegistration(t *testing.T) {
	f := setup(t)
	file := "\ufeffID;CREDENTIALS;TYPE;NAME;ICCID;IDTYPE;PATH;SHELL;external-c8y_Imei;com_cumulocity_model_Agent.active;a.b;a.c\r\n" +
		"d1;AbcD1234!1234AbcD;pump;\"Pump; one\";111;;plant/hall 1;1;99;true;x;y\r\n" +
		"\r\n" +
		"d2;AbcD1234!1234AbcD;pump;Pump 2;;c8y_Imei;plant/hall 2;;;;;\r\n" +
		"d3;weak;pump;Pump 3;;;;;;;;\r\n" +
		"d/4;AbcD1234!1234AbcD;pump;Pump 4;;;;;;;;\r\n" +
		"d5;;pump;Pump 5;;;;;;;;\r\n" +
		"d6;AbcD1234!1234AbcD;;;;;;;;;;\r\n" +
		"d7;AbcD1234!1234AbcD;pump;Pump 7;;;;;;;;;too many\r\n"
	if got, want := f.load(admin, file), "2:d1:CREATED 4:d2:CREATED 5:d3:FAILED 6:d/4:FAILED 7:d5:FAILED 8:d6:CREATED 9:d7:FAILED"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	o := f.twin("c8y_Serial", "d1")
	raw := string(o.Fragments.AppendTo(nil))
	for _, part := range []string{`"c8y_Mobile":{"iccid":"111"}`, `"c8y_SupportedOperations":["c8y_Command"]`, `"com_cumulocity_model_Agent":{"active":"true"}`, `"a":{"b":"x","c":"y"}`, `"c8y_IsDevice":{}`} {
		if !strings.Contains(raw, part) {
			t.Errorf("no %s in %s", part, raw)
		}
	}
	if o.Name != "Pump; one" || o.Type != "pump" || o.Owner != "device_d1" || f.twin("c8y_Imei", "99").ID != o.ID || f.twin("c8y_Imei", "d2").Name != "Pump 2" {
		t.Errorf("%+v", o)
	}
	if _, err := f.reg.Lookup(ctx, "acme", "c8y_Serial", "d6"); !fault.Is(err, fault.NotFound) {
		t.Errorf("an object without TYPE and NAME: %v", err)
	}
	if n := f.groups("plant"); n != 1 {
		t.Errorf("%d groups plant", n)
	}
	if above, err := f.reg.Above(ctx, "acme", o.ID, iot.ChildAsset); err != nil || len(above) != 2 {
		t.Errorf("above it %v, %v", above, err)
	}
	if got, want := f.load(admin, "id,credentials,type,name,path\nd1,AbcD1234!1234AbcD,pump,New name,plant/hall 1\nd2,Other-1234!,pump,x,plant/hall 1\n"), "2:d1:CREDENTIAL_UPDATED 3:d2:CREDENTIAL_UPDATED"; got != want {
		t.Errorf("again: %s", got)
	}
	if f.twin("c8y_Serial", "d1").Name != "Pump; one" || f.groups("plant") != 1 {
		t.Error("an object that was there was changed, or a group made twice")
	}
}

func (f *fixture) groups(name string) (n int) {
	f.Helper()
	list, _, err := f.reg.List(ctx, admin, registry.Query{Fragment: iot.FragmentIsDeviceGroup, Limit: 100})
	f.must(err)
	for _, g := range list {
		if g.Name == name {
			n++
		}
	}
	return n
}

func TestBulkRegistrationOfCertificates(t *testing.T) {
	f := setup(t)
	f.authority()
	file := "ID\tAUTH_TYPE\tENROLLMENT_OTP\tCREDENTIALS\tTYPE\tNAME\nc1\tCERTIFICATES\tsecret-1\tignored\tpump\tOne\nc2\tCERTIFICATES\t\t\tpump\tTwo\nc3\tBASIC\tsecret-3\t\t\t\nc4\tMAGIC\t\t\t\t\nc5\tCERTIFICATES\t" +
		strings.Repeat("x", 33) + "\t\t\t\n"
	if got, want := f.load(admin, file), "2:c1:CREATED 3:c2:CREATED 4:c3:FAILED 5:c4:FAILED 6:c5:FAILED"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := f.load(admin, "ID,AUTH_TYPE,ENROLLMENT_OTP\nc1,CERTIFICATES,secret-2\nc2,CERTIFICATES,\n"); got != "2:c1:CREDENTIAL_UPDATED 3:c2:CREDENTIAL_UPDATED" {
		t.Errorf("again: %s", got)
	}
	_, err := f.anchors.Enroll(ctx, "c1", "secret-1", csr(t, "c1", nil), "")
	f.kind("the old one-time password", err, fault.Unauthenticated)
	der, err := f.anchors.Enroll(ctx, "c1", "secret-2", csr(t, "c1", nil), "")
	f.must(err)
	f.must(f.login(der))
	account, err := f.users.Account(ctx, "acme", "device_c2")
	if err != nil || account.PasswordHash != "" {
		t.Errorf("%+v, %v", account, err)
	}
	if got := f.load(foreign, "ID,AUTH_TYPE,ENROLLMENT_OTP\nc1,CERTIFICATES,mine\n"); got != "2:c1:CREATED" { // it is used up, so that the id is free
		t.Errorf("in another tenant: %s", got)
	}
	if got := f.load(admin, "ID,AUTH_TYPE,ENROLLMENT_OTP\nc1,CERTIFICATES,mine\n"); got != "2:c1:FAILED" {
		t.Errorf("an id that another tenant has: %s", got)
	}
}

func TestBulkRegistrationOfRequests(t *testing.T) {
	f := setup(t)
	if got := f.load(admin, "ID,PATH\ns1,plant\ns2,\ns1,\n"); got != "2:s1:CREATED 3:s2:CREATED 4:s1:FAILED" {
		t.Error(got)
	}
	f.status("s1", identity.Waiting)
	r, err := f.s.Get(ctx, admin, "s1")
	if err != nil || r.Group == 0 || f.groups("plant") != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTheManagementNamesTenants(t *testing.T) {
	f := setup(t)
	boss := user(iot.Management, "boss", admin.Roles...)
	if got := f.load(boss, "ID;CREDENTIALS;TENANT\nd1;AbcD1234!1234AbcD;acme\nd2;AbcD1234!1234AbcD;\nd3;AbcD1234!1234AbcD;gone\n"); got != "2:d1:CREATED 3:d2:FAILED 4:d3:FAILED" {
		t.Error(got)
	}
	if _, err := f.users.Account(ctx, "acme", "device_d1"); err != nil {
		t.Error(err)
	}
	if got := f.load(admin, "ID;CREDENTIALS;TENANT\nd4;AbcD1234!1234AbcD;other\n"); got != "2:d4:CREATED" {
		t.Error(got)
	}
	if _, err := f.users.Account(ctx, "acme", "device_d4"); err != nil {
		t.Errorf("anybody else's TENANT counts: %v", err)
	}
}

func TestFilesThatAreNoTables(t *testing.T) {
	f := setup(t)
	for name, file := range map[string]string{"empty": "", "no ID": "A,B\nx,y\n", "a column twice": "ID,id\nx,y\n", "bytes": "ID\n\x00", "too many lines": "ID\n" + strings.Repeat("x\n", identity.MaxBulkRows+1),
		"too many columns": "ID" + strings.Repeat(",x", 201)} {
		_, err := f.s.Bulk(ctx, admin, []byte(file))
		f.kind(name, err, fault.Malformed)
	}
	_, err := f.s.Bulk(ctx, admin, make([]byte, 9<<20))
	f.kind("too large", err, fault.TooLarge)
	_, err = f.s.Bulk(ctx, nobody, []byte("ID\nx\n"))
	f.kind("without permission", err, fault.Denied)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, err = f.s.Bulk(gone, admin, []byte("ID\nx\n"))
	f.kind("a client that left", err, fault.Canceled)
	latin, err := f.s.Bulk(ctx, admin, []byte("ID,PATH\ncaf\xe9,\n"))
	if text, _ := json.Marshal(latin); err != nil || latin[0].ID != "café" {
		t.Errorf("%s, %v", text, err)
	}
}
