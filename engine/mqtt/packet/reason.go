package packet

import "fmt"

// Reason is a reason code of MQTT 5.0 (section 2.4). Codes of 0x80 and above mean failure.
type Reason byte

// The reason codes. Success is also called NormalDisconnection and GrantedQoS0 by the specification.
const (
	Success                Reason = 0x00
	GrantedQoS1            Reason = 0x01
	GrantedQoS2            Reason = 0x02
	DisconnectWithWill     Reason = 0x04
	NoMatchingSubscribers  Reason = 0x10
	NoSubscriptionExisted  Reason = 0x11
	ContinueAuthentication Reason = 0x18
	Reauthenticate         Reason = 0x19
	UnspecifiedError       Reason = 0x80
	MalformedPacket        Reason = 0x81
	ProtocolError          Reason = 0x82
	ImplementationError    Reason = 0x83
	UnsupportedVersion     Reason = 0x84
	ClientIDNotValid       Reason = 0x85
	BadUserOrPassword      Reason = 0x86
	NotAuthorized          Reason = 0x87
	ServerUnavailable      Reason = 0x88
	ServerBusy             Reason = 0x89
	Banned                 Reason = 0x8A
	ServerShuttingDown     Reason = 0x8B
	BadAuthMethod          Reason = 0x8C
	KeepAliveTimeout       Reason = 0x8D
	SessionTakenOver       Reason = 0x8E
	TopicFilterInvalid     Reason = 0x8F
	TopicNameInvalid       Reason = 0x90
	PacketIDInUse          Reason = 0x91
	PacketIDNotFound       Reason = 0x92
	ReceiveMaximumExceeded Reason = 0x93
	TopicAliasInvalid      Reason = 0x94
	PacketTooLarge         Reason = 0x95
	MessageRateTooHigh     Reason = 0x96
	QuotaExceeded          Reason = 0x97
	AdministrativeAction   Reason = 0x98
	PayloadFormatInvalid   Reason = 0x99
	RetainNotSupported     Reason = 0x9A
	QoSNotSupported        Reason = 0x9B
	UseAnotherServer       Reason = 0x9C
	ServerMoved            Reason = 0x9D
	SharedNotSupported     Reason = 0x9E
	ConnectionRateExceeded Reason = 0x9F
	MaximumConnectTime     Reason = 0xA0
	SubIDNotSupported      Reason = 0xA1
	WildcardNotSupported   Reason = 0xA2
)

// Failed tells whether the code means failure.
func (r Reason) Failed() bool { return r >= 0x80 }

// String prints the code in the form of the specification.
func (r Reason) String() string { return fmt.Sprintf("0x%02X", byte(r)) }

// Return maps a reason code to the CONNACK return code of MQTT 3.x (MQTT 3.1.1 section 3.2.2.3).
func (r Reason) Return() byte {
	if r <= 5 {
		return byte(r) // A return code already, as Connack.decode leaves it for 3.x.
	}
	switch r {
	case UnsupportedVersion:
		return 1
	case ClientIDNotValid:
		return 2
	case BadUserOrPassword:
		return 4
	case UnspecifiedError, ImplementationError, ServerUnavailable, ServerBusy, ServerShuttingDown, QuotaExceeded,
		ConnectionRateExceeded, UseAnotherServer, ServerMoved:
		return 3
	default:
		return 5
	}
}

// Error is why a packet was refused. Code is what a v5 peer is told.
type Error struct {
	Code Reason
	Text string
}

// Error prints the text and the code.
func (e *Error) Error() string { return e.Text + " (" + e.Code.String() + ")" }

func malformed(text string) *Error { return &Error{MalformedPacket, text} }
func protocol(text string) *Error  { return &Error{ProtocolError, text} }
