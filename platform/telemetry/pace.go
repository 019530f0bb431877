package telemetry

import "time"

const (
	// paceTry is how long each of the four tries takes. Others follow after paceSoon when a try changed the way, and later and later, up to
	// paceLate, while it does not.
	paceTry  = 25 * time.Millisecond
	paceSoon = 500 * time.Millisecond
	paceLate = 4 * time.Second
	// paceLeast is how many submissions have to come in two tries for patience to save anything worth a delay: 4,000 a second.
	paceLeast = 200
)

// pace finds out whether those who submit wait for answers. If they do, as devices with one message under way, a longer pause before a commit is
// lost; if they do not, it makes commits fewer and costs nobody anything but a moment. Which of the two it is shows in what comes: both ways are
// tried now and then, and when patience does not make less come, it is kept.
type pace struct {
	began          time.Time
	every          time.Duration // from these tries to the next
	eager, waiting int           // submissions that came in the tries
	was            bool          // what the tries before said
}

// try is the number of the try that is under way, from 0, or more than 3 when they are over. Eagerness has the first and the last, patience those
// between, so that a load that grows or falls favours none of them.
func (p *pace) try(now time.Time) int { return int(now.Sub(p.began) / paceTry) }

// patient tells whether the next commit waits to the end of its pause.
func (p *pace) patient(now time.Time) bool {
	if now.Sub(p.began) >= p.every {
		p.again(now)
	}
	switch p.try(now) {
	case 0, 3:
		return false
	case 1, 2:
		return p.eager*2 >= paceLeast
	}
	return p.worth()
}

// worth tells what the tries said. Chance makes for less than 15 percent.
func (p *pace) worth() bool { return p.waiting >= paceLeast && p.waiting*20 >= p.eager*17 }

func (p *pace) again(now time.Time) {
	is, every := p.worth(), paceSoon
	if is == p.was {
		every = min(max(2*p.every, paceSoon), paceLate)
	}
	*p = pace{began: now, every: every, was: is}
}

// count notes that n submissions were taken.
func (p *pace) count(n int, now time.Time) {
	switch p.try(now) {
	case 0, 3:
		p.eager += n
	case 1, 2:
		p.waiting += n
	}
}
