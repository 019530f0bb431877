// Command hello is a microservice for the tests: with its bootstrap account it learns who is subscribed, and as its service account it makes a device with a
// measurement when somebody asks for it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func call(user, password, method, path string, body any, into any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(method, os.Getenv("C8Y_BASEURL")+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.SetBasicAuth(user, password)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %d %s", method, path, res.StatusCode, answer)
	}
	return json.Unmarshal(answer, into)
}

func measure() (string, error) {
	var accounts struct {
		Users []struct{ Tenant, Name, Password string }
	}
	boot, password := os.Getenv("C8Y_BOOTSTRAP_TENANT")+"/"+os.Getenv("C8Y_BOOTSTRAP_USER"), os.Getenv("C8Y_BOOTSTRAP_PASSWORD")
	if err := call(boot, password, "GET", "/application/currentApplication/subscriptions", nil, &accounts); err != nil || len(accounts.Users) != 1 {
		return "", fmt.Errorf("%d accounts: %w", len(accounts.Users), err)
	}
	u := accounts.Users[0]
	var device struct{ ID string }
	if err := call(u.Tenant+"/"+u.Name, u.Password, "POST", "/inventory/managedObjects", map[string]any{"name": "of a service"}, &device); err != nil {
		return "", err
	}
	var made struct{ ID string }
	return device.ID, call(u.Tenant+"/"+u.Name, u.Password, "POST", "/measurement/measurements", map[string]any{"source": map[string]string{"id": device.ID}, "type": "t",
		"time": time.Now().UTC().Format(time.RFC3339), "a": map[string]any{"b": map[string]any{"value": 42}}}, &made)
}

func main() {
	fmt.Println("hello starts")
	http.HandleFunc("/measure", func(w http.ResponseWriter, _ *http.Request) {
		id, err := measure()
		if err != nil {
			http.Error(w, err.Error(), http.StatusTeapot)
			return
		}
		fmt.Fprint(w, id)
	})
	http.HandleFunc("/who", func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		fmt.Fprintf(w, "%s %s %s", user, r.URL.RawQuery, os.Getenv("ISOBAR_ADMIN_PASSWORD"))
	})
	http.HandleFunc("/die", func(http.ResponseWriter, *http.Request) { os.Exit(3) })
	if err := http.ListenAndServe("127.0.0.1:"+os.Getenv("SERVER_PORT"), nil); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
