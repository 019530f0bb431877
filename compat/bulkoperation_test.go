package compat_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// TestKillDuringABulkOperation kills the program again and again while it creates the operations of a bulk operation. In the end each device has
// got exactly one, and the counters say so.
func TestKillDuringABulkOperation(t *testing.T) {
	const devices = 200
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			t.Parallel()
			s := seed(t)
			t.Logf("ISOBAR_SEED=%d", s)
			random := rand.New(rand.NewPCG(s, 0))
			options := engine.options(t)
			server := rig.Start(t, options)
			group := server.Admin().Create(t, "/inventory/managedObjects", map[string]any{"name": "all", "c8y_IsDeviceGroup": map[string]any{}})
			for i := range devices {
				server.Admin().Want(t, 201, "POST", "/inventory/managedObjects/"+group+"/childAssets",
					map[string]any{"name": fmt.Sprint("dev", i), "c8y_IsDevice": map[string]any{}, "com_cumulocity_model_Agent": map[string]any{}}, nil)
			}
			var bulk struct {
				ID                    int
				Status, GeneralStatus string
				Progress              struct{ Pending, All int }
			}
			server.Admin().Want(t, 201, "POST", "/devicecontrol/bulkoperations",
				map[string]any{"groupId": group, "startDate": "2020-01-01", "creationRamp": 0.01, "operationPrototype": map[string]any{"c8y_Restart": map[string]any{}}}, &bulk)
			path := fmt.Sprint("/devicecontrol/bulkoperations/", bulk.ID)
			kills, created := 0, 0
			for bulk.Status != "COMPLETED" {
				wait := time.Now().Add(time.Duration(50+random.IntN(400)) * time.Millisecond)
				rig.Eventually(t, "some progress", func() bool {
					server.Admin().Want(t, 200, "GET", path, nil, &bulk)
					return time.Now().After(wait) || bulk.Status == "COMPLETED"
				})
				if bulk.Status == "COMPLETED" {
					break
				}
				server.Kill()
				kills++
				noDefects(t, server)
				if kills > 200 {
					t.Fatal("it never comes to an end")
				}
				server = rig.Start(t, options)
			}
			byDevice := map[string]int{}
			server.Admin().Each(t, fmt.Sprintf("/devicecontrol/operations?bulkOperationId=%d", bulk.ID), "operations", func(raw json.RawMessage) {
				var o struct{ DeviceID string }
				if err := json.Unmarshal(raw, &o); err != nil {
					t.Fatal(err)
				}
				byDevice[o.DeviceID]++
				created++
			})
			if created != devices || len(byDevice) != devices || bulk.Progress.All != devices || bulk.Progress.Pending != devices || bulk.GeneralStatus != "EXECUTING" {
				t.Errorf("%d operations for %d devices, counted %+v", created, len(byDevice), bulk)
			}
			if kills < 2 {
				t.Errorf("only %d kills: the test shows nothing", kills)
			}
			t.Logf("%d kills", kills)
			noDefects(t, server)
		})
	}
}
