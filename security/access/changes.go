package access

import (
	"crypto/rand"

	"github.com/isobar-iot/isobar/iot"
)

// newID makes an id that cannot be guessed.
func newID() string { return rand.Text() }

// secretMembers are never shown in the audit, which only says that they changed.
var secretMembers = []string{"passwordHash", "oldHashes"}

// userChanges lists what differs between two versions of a user, for the audit.
func userChanges(before, after User) []iot.AttributeChange { return diff(before, after) }

// groupChanges lists what differs between two versions of a group.
func groupChanges(before, after Group) []iot.AttributeChange { return diff(before, after) }
