package identity_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/isobar-iot/isobar/fault"
	"github.com/isobar-iot/isobar/platform/identity"
)

// known fails the test if an error is not the client's.
func known(t *testing.T, err error) {
	t.Helper()
	if err != nil && !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Malformed) && !fault.Is(err, fault.TooLarge) {
		t.Errorf("%v", err)
	}
}

func FuzzParseRequest(f *testing.F) {
	good := csr(f, "d", nil)
	for _, s := range [][]byte{good, csr(f, "d", authorityToBe), []byte("MIIB"), []byte("-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----"), {0x30}, nil} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := identity.ParseRequest(b)
		if known(t, err); err == nil && r.CheckSignature() != nil {
			t.Error("a request whose signature is wrong")
		}
	})
}

// plantCertificate is valid, in base64.
const plantCertificate = "MIIBOzCB7qADAgECAgID6TAFBgMrZXAwJDENMAsGA1UEChMEQWNtZTETMBEGA1UEAxMKUGxhbnQgQ0EgMTAgFw0yNDAxMDEwMDAwMDBaGA8yMTI0MDEwMTAwMDAwMFowJDENMAsGA1UEChMEQWNtZTETMBEGA1UEAxMKUGxhbnQgQ0EgMTAqMAUGAytlcAMhAMawvyPxUGT+fVlyA6YPtGlCowNz0Jw1KvDDkbxRZ1s/o0IwQDAOBgNVHQ8BAf8EBAMCAgQwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQU4MR1Kf234/OCt50G190lR3yZvIQwBQYDK2VwA0EA1U4yLJfd3qWt5H3xatHLmoJV85VvxHV2I9ulcVQK8evMbR4dGy0IG8+Vw7b/02QHgG7wPt2DKA7dUDtI96iKBw=="

func FuzzParseChain(f *testing.F) {
	plant := "-----BEGIN CERTIFICATE----- " + plantCertificate + " -----END CERTIFICATE-----"
	for _, s := range []string{plant, plant + "\n" + plant, "", "-----BEGIN CERTIFICATE----- MIIB -----END CERTIFICATE-----", "-----BEGIN CERTIFICATE-----", strings.Repeat("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", 6)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		chain, err := identity.ParseChain(s, 5)
		if known(t, err); err == nil && (len(chain) == 0 || len(chain) > 5) {
			t.Errorf("%d certificates", len(chain))
		}
	})
}

func FuzzParseRevocations(f *testing.F) {
	for _, s := range []string{"SERIAL NO.,REVOCATION DATE\n1000,2023-01-11T16:12:36.288Z\n", "\ufeffSERIAL NO.;REVOCATION DATE\nff;\n", "SERIAL NO.\n\"", "x", "SERIAL NO.,\n-1,\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := identity.ParseRevocations(bytes.NewReader(b))
		known(t, err)
		for _, e := range list {
			if again, err := identity.ParseSerial(e.Serial); err != nil || again != e.Serial {
				t.Errorf("%q becomes %q, %v", e.Serial, again, err)
			}
		}
	})
}

func FuzzParseBulk(f *testing.F) {
	for _, s := range []string{"ID,CREDENTIALS\nd1,x\n", "\ufeffID;CREDENTIALS;TYPE;NAME;com_cumulocity_model_Agent.active\n\"d;1\";x;t;n;true", "ID\tPATH\nd\ta/b\n", "ID,ID\n", "ID,a.b,a\nd,1,2\n", "\xe4,ID\n", "ID,..\nd,1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { known(t, identity.TryBulk(b)) })
}
