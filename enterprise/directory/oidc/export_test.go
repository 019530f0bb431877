package oidc

import (
	"encoding/json"

	"github.com/isobar-iot/isobar/security/access"
)

// Pending is what a login remembers.
type Pending = pending

// SameOrigin is the check of where to go after a login.
var SameOrigin = sameOrigin

// Change opens the cookie of a login, changes it and seals it again.
func Change(v access.Vault, sealed string, change func(*Pending)) (string, error) {
	b, err := v.Open(sealed, purpose)
	if err != nil {
		return "", err
	}
	var p pending
	if err := json.Unmarshal(b, &p); err != nil {
		return "", err
	}
	change(&p)
	if b, err = json.Marshal(p); err != nil {
		return "", err
	}
	return v.Seal(b, purpose), nil
}
