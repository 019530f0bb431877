package bayeux

import "github.com/isobar-iot/isobar/iot"

// item is one data message. Its data is shared between sessions and must not be written to.
type item struct {
	channel string
	data    []byte
}

// size is what the item costs on the wire and, at most, in memory.
func (i *item) size() int { return len(i.channel) + len(i.data) + 64 }

func (i *item) appendTo(b []byte) []byte {
	b = append(b, `{"channel":`...)
	b = iot.AppendText(b, i.channel)
	b = append(b, `,"data":`...)
	b = append(b, i.data...)
	return append(b, '}')
}

const (
	// maxQueueMessages and maxQueueBytes bound what waits for one session. At the bound the oldest messages are dropped and counted:
	// the newest state is what a client wants, and it can read the rest through REST.
	maxQueueMessages = 5000
	maxQueueBytes    = 4 << 20
	// maxBacklogBytes bounds what waits for all sessions together. Beyond it every session that gets a message keeps only its newest few.
	maxBacklogBytes = 512 << 20
	fewMessages     = 16
)

// queue is a first-in-first-out list of items.
type queue struct {
	items []item // from head on
	head  int
	bytes int
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) push(i item) {
	q.items = append(q.items, i)
	q.bytes += i.size()
}

func (q *queue) pop() item {
	i := q.items[q.head]
	q.items[q.head] = item{}
	q.head++
	q.bytes -= i.size()
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > maxQueueMessages/10 { // an idle session keeps no large array
			q.items = nil
		}
	} else if q.head > 64 && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return i
}

// trim drops the oldest items until the queue is within its bounds and returns how many it dropped.
func (q *queue) trim(full bool) (dropped int) {
	for q.len() > maxQueueMessages || (q.bytes > maxQueueBytes && q.len() > 1) || (full && q.len() > fewMessages) {
		q.pop()
		dropped++
	}
	return dropped
}

// take removes items from the front until they have limit bytes, but at least one.
func (q *queue) take(limit int) []item {
	var out []item
	for size := 0; q.len() > 0 && (size == 0 || size+q.items[q.head].size() <= limit); {
		i := q.pop()
		size += i.size()
		out = append(out, i)
	}
	return out
}
