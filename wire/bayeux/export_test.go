package bayeux

// Sweep does what the server does every few seconds.
func (s *Server) Sweep() { s.sweep() }

// The bounds that tests go beyond.
const (
	MaxQueueMessages = maxQueueMessages
	MaxQueueBytes    = maxQueueBytes
	MaxPerUser       = maxPerUser
	MaxIdle          = maxIdle
	PresenceGrace    = presenceGrace
)
