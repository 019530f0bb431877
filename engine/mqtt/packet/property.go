package packet

// PropertyID names a property of MQTT 5.0 (section 2.2.2.2).
type PropertyID byte

// The properties.
const (
	PropPayloadFormat     PropertyID = 1
	PropMessageExpiry     PropertyID = 2
	PropContentType       PropertyID = 3
	PropResponseTopic     PropertyID = 8
	PropCorrelationData   PropertyID = 9
	PropSubscriptionID    PropertyID = 11
	PropSessionExpiry     PropertyID = 17
	PropAssignedClientID  PropertyID = 18
	PropServerKeepAlive   PropertyID = 19
	PropAuthMethod        PropertyID = 21
	PropAuthData          PropertyID = 22
	PropRequestProblem    PropertyID = 23
	PropWillDelay         PropertyID = 24
	PropRequestResponse   PropertyID = 25
	PropResponseInfo      PropertyID = 26
	PropServerReference   PropertyID = 28
	PropReasonString      PropertyID = 31
	PropReceiveMaximum    PropertyID = 33
	PropTopicAliasMaximum PropertyID = 34
	PropTopicAlias        PropertyID = 35
	PropMaximumQoS        PropertyID = 36
	PropRetainAvailable   PropertyID = 37
	PropUser              PropertyID = 38
	PropMaximumPacketSize PropertyID = 39
	PropWildcardAvailable PropertyID = 40
	PropSubIDAvailable    PropertyID = 41
	PropSharedAvailable   PropertyID = 42
)

// UserProperty is one name and value pair. Order and duplicates are kept (section 3.3.2.3.7).
type UserProperty struct{ Key, Value string }

// Properties holds all properties of a packet. A field counts only when its bit is in the set: see Has and Mark.
// User and SubscriptionIDs count when they are not empty.
type Properties struct {
	set uint64

	PayloadFormat     byte
	RequestProblem    byte
	RequestResponse   byte
	MaximumQoS        byte
	RetainAvailable   byte
	WildcardAvailable byte
	SubIDAvailable    byte
	SharedAvailable   byte
	ServerKeepAlive   uint16
	ReceiveMaximum    uint16
	TopicAliasMaximum uint16
	TopicAlias        uint16
	MessageExpiry     uint32
	SessionExpiry     uint32
	WillDelay         uint32
	MaximumPacketSize uint32
	ContentType       string
	ResponseTopic     string
	AssignedClientID  string
	AuthMethod        string
	ResponseInfo      string
	ServerReference   string
	ReasonString      string
	CorrelationData   []byte
	AuthData          []byte
	SubscriptionIDs   []uint32
	User              []UserProperty
}

// Has tells whether a property is present.
func (p *Properties) Has(id PropertyID) bool { return p.set>>id&1 == 1 }

// Mark declares properties present, so that they are encoded.
func (p *Properties) Mark(ids ...PropertyID) {
	for _, id := range ids {
		p.set |= 1 << id
	}
}

// Reset forgets everything and keeps no storage.
func (p *Properties) Reset() {
	if p.set != 0 || p.User != nil || p.SubscriptionIDs != nil {
		*p = Properties{}
	}
}

func (p *Properties) empty() bool {
	return p.set == 0 && len(p.User) == 0 && len(p.SubscriptionIDs) == 0
}

type propertyForm byte

const (
	formNone propertyForm = iota
	formByte
	formUint16
	formUint32
	formVarint
	formText
	formBinary
	formPair
)

// willScope stands beside the packet types in a property's scope, for the properties inside CONNECT's will.
const willScope = Type(0)

type propertyRule struct {
	form  propertyForm
	scope uint16 // Bit t: allowed in packet type t; bit 0: in the will.
}

func scope(types ...Type) (s uint16) {
	for _, t := range types {
		s |= 1 << t
	}
	return s
}

const everywhere = 1<<CONNECT | 1<<CONNACK | 1<<PUBLISH | 1<<PUBACK | 1<<PUBREC | 1<<PUBREL | 1<<PUBCOMP | 1<<SUBSCRIBE |
	1<<SUBACK | 1<<UNSUBSCRIBE | 1<<UNSUBACK | 1<<DISCONNECT | 1<<AUTH | 1<<willScope

// rule is table 2-4 of the specification.
func rule(id PropertyID) propertyRule {
	switch id {
	case PropPayloadFormat:
		return propertyRule{formByte, scope(PUBLISH, willScope)}
	case PropMessageExpiry:
		return propertyRule{formUint32, scope(PUBLISH, willScope)}
	case PropContentType, PropResponseTopic:
		return propertyRule{formText, scope(PUBLISH, willScope)}
	case PropCorrelationData:
		return propertyRule{formBinary, scope(PUBLISH, willScope)}
	case PropSubscriptionID:
		return propertyRule{formVarint, scope(PUBLISH, SUBSCRIBE)}
	case PropSessionExpiry:
		return propertyRule{formUint32, scope(CONNECT, CONNACK, DISCONNECT)}
	case PropAssignedClientID, PropResponseInfo:
		return propertyRule{formText, scope(CONNACK)}
	case PropServerKeepAlive:
		return propertyRule{formUint16, scope(CONNACK)}
	case PropAuthMethod:
		return propertyRule{formText, scope(CONNECT, CONNACK, AUTH)}
	case PropAuthData:
		return propertyRule{formBinary, scope(CONNECT, CONNACK, AUTH)}
	case PropRequestProblem, PropRequestResponse:
		return propertyRule{formByte, scope(CONNECT)}
	case PropWillDelay:
		return propertyRule{formUint32, scope(willScope)}
	case PropServerReference:
		return propertyRule{formText, scope(CONNACK, DISCONNECT)}
	case PropReasonString:
		return propertyRule{formText, everywhere &^ scope(CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, willScope)}
	case PropReceiveMaximum, PropTopicAliasMaximum:
		return propertyRule{formUint16, scope(CONNECT, CONNACK)}
	case PropTopicAlias:
		return propertyRule{formUint16, scope(PUBLISH)}
	case PropMaximumQoS, PropRetainAvailable, PropWildcardAvailable, PropSubIDAvailable, PropSharedAvailable:
		return propertyRule{formByte, scope(CONNACK)}
	case PropUser:
		return propertyRule{formPair, everywhere}
	case PropMaximumPacketSize:
		return propertyRule{formUint32, scope(CONNECT, CONNACK)}
	default:
		return propertyRule{}
	}
}
