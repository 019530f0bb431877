package service_test

import (
	"testing"

	"github.com/isobar-iot/isobar/kit/service"
)

func TestCalls(t *testing.T) {
	var c service.Calls
	if !c.Enter() {
		t.Fatal("refused before anybody said so")
	}
	c.Refuse()
	if c.Enter() {
		t.Fatal("let in after Refuse")
	}
	left, waited := make(chan struct{}), make(chan struct{})
	go func() {
		c.Wait()
		select {
		case <-left:
		default:
			t.Error("Wait did not wait")
		}
		close(waited)
	}()
	close(left)
	c.Leave()
	<-waited
}
