package compat_test

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/isobar-iot/isobar/compat/internal/rig"
)

// agentTemplates are of the kind that agents of SmartREST 1 upload, with CRLF and comments.
const agentTemplates = `# identity
10,300,GET,/identity/externalIds/c8y_Serial/%%,,application/vnd.com.nsn.cumulocity.externalId+json,%%,STRING,
10,301,POST,/inventory/managedObjects,application/json,application/json,%%,STRING UNSIGNED,"{""name"":""%%"",""c8y_IsDevice"":{},""com_cumulocity_model_Agent"":{},""c8y_RequiredAvailability"":{""responseInterval"":%%}}"
10,302,POST,/identity/globalIds/%%/externalIds,application/json,,%%,STRING STRING,"{""externalId"":""%%"",""type"":""c8y_Serial""}"
10,303,PUT,/devicecontrol/operations/%%,application/json,,%%,UNSIGNED STRING,"{""status"":""%%""}"
10,310,PUT,/devicecontrol/operations/%%,application/json,,%%,UNSIGNED STRING STRING STRING,"{""status"":""%%"",""c8y_Command"":{""text"":""%%"",""result"":""%%""}}"
10,314,GET,/devicecontrol/operations?deviceId=%%&status=%%&pageSize=100,,application/vnd.com.nsn.cumulocity.operationCollection+json,%%,UNSIGNED STRING,
10,317,PUT,/inventory/managedObjects/%%,application/json,,%%,,"{""c8y_SupportedLogs"":[%%]}"
10,327,PUT,/inventory/managedObjects/%%,application/json,,%%,UNSIGNED STRING,"{""c8y_SupportedOperations"":[%%]}"
10,352,PUT,/inventory/managedObjects/%%,application/json,,%%,UNSIGNED STRING STRING STRING,"{""c8y_SoftwareList"":[{""name"":""%%"",""version"":""%%"",""url"":""%%""}]}"

11,800,$.managedObject,,$.id
11,801,,$.c8y_IsDevice,$.id
11,807,,$.c8y_Command,$.id,$.c8y_Command.text,$.deviceId
11,811,$.operations,,$.id,$.status
`

// TestAgentOfSmartREST1OverHTTP plays an agent in C++: registration with 61, its templates, its object, and long polling on a bare socket.
func TestAgentOfSmartREST1OverHTTP(t *testing.T) {
	s := rig.Start(t, rig.Options{})
	admin, boot := s.Admin(), rig.User{URL: s.URL, Name: "management/devicebootstrap", Password: rig.BootstrapPassword}
	say := func(u rig.User, xid, body string) string {
		t.Helper()
		a, err := u.Do("POST", "/s", body, "Content-Type", "text/plain", "X-Id", xid, "Accept", "")
		if err != nil || a.Status != 200 {
			t.Fatalf("%q: %v %d", body, err, a.Status)
		}
		return string(a.Body)
	}
	wants := func(got, want string) {
		t.Helper()
		if got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	const serial = "cagent0001"
	admin.Want(t, 201, "POST", "/devicecontrol/newDeviceRequests", map[string]string{"id": serial}, nil)
	wants(say(boot, "", "61,"+serial), "50,1,404")
	admin.Want(t, 200, "PUT", "/devicecontrol/newDeviceRequests/"+serial, map[string]string{"status": "ACCEPTED"}, nil)
	got := strings.Split(say(boot, "", "61,"+serial), ",")
	if len(got) != 6 || got[0] != "70" || got[1] != "1" || got[2] != serial {
		t.Fatalf("%q", got)
	}
	agent := rig.User{URL: s.URL, Name: got[3] + "/" + got[4], Password: got[5]}

	wants(say(agent, "compat-agent_1.0", ""), "40,No template for this X-ID.")
	template, ok := strings.CutPrefix(say(agent, "compat-agent_1.0", strings.ReplaceAll(agentTemplates, "\n", "\r\n")), "20,")
	if !ok {
		t.Fatal(template)
	}
	wants(say(agent, "compat-agent_1.0", ""), "20,"+template)
	wants(say(agent, template, "300,"+serial), "50,1,404")
	device, ok := strings.CutPrefix(say(agent, template, "301,Linux agent,10"), "801,1,")
	if !ok {
		t.Fatal(device)
	}
	wants(say(agent, template, "302,"+device+","+serial), "")
	wants(say(agent, "", "15,"+template+"\n"+`327,`+device+`,"""c8y_Command"",""c8y_SetCoil"""`+"\n314,"+device+",PENDING\n317,"+device+`,"""dmesg"""`+"\n352,"+device+",agent,4.1,"), "")
	var mo struct{ C8y_SupportedOperations, C8y_SupportedLogs []string }
	admin.Want(t, 200, "GET", "/inventory/managedObjects/"+device, nil, &mo)
	if len(mo.C8y_SupportedOperations) != 2 || len(mo.C8y_SupportedLogs) != 1 {
		t.Errorf("%+v", mo)
	}

	push := pusher{t: t, s: s, agent: agent, xid: template}
	session := push.ask("80,true")
	wants(push.ask("81,"+session+",/"+device), "")
	op := admin.Create(t, "/devicecontrol/operations", map[string]any{"deviceId": device, "c8y_Command": map[string]string{"text": "echo hi"}})
	wants(push.ask("83,"+session), "86,1,5400000,0,retry\n88,1\n807,1,"+op+",echo hi,"+device)
	wants(say(agent, template, "314,"+device+",PENDING"), "811,1,"+op+",PENDING")
	wants(say(agent, template, "303,"+op+",EXECUTING\n310,"+op+",SUCCESSFUL,echo hi,\"hi\nthere\""), "")
	var done struct {
		Status      string
		C8y_Command struct{ Result string }
	}
	admin.Want(t, 200, "GET", "/devicecontrol/operations/"+op, nil, &done)
	if done.Status != "SUCCESSFUL" || done.C8y_Command.Result != "hi\nthere" {
		t.Errorf("%+v", done)
	}

	// The same agent over MQTT: all answers come on s/dl, operations on the topic of its templates.
	d := rig.Device{Serial: "d:" + serial, User: agent.Name, Password: agent.Password}
	c := s.Connect(t, d, "s/dl", "s/ol/"+template, "s/e")
	c.Send(t, "s/ul/"+template, "15,"+template+"\n300,"+serial+"\n300,nobody\n")
	wants(c.Next(t, "s/dl"), "800,2,"+device+"\n50,3,404")
	op = admin.Create(t, "/devicecontrol/operations", map[string]any{"deviceId": device, "c8y_Command": map[string]string{"text": "echo hi"}})
	wants(c.Next(t, "s/ol/"+template), "807,1,"+op+",echo hi,"+device)
	delivered(t, admin, op)
}

func delivered(t *testing.T, admin rig.User, op string) {
	t.Helper()
	rig.Eventually(t, "the operation does not become DELIVERED", func() bool {
		var o struct{ Delivery struct{ Status string } }
		admin.Want(t, 200, "GET", "/devicecontrol/operations/"+op, nil, &o)
		return o.Delivery.Status == "DELIVERED"
	})
}

// pusher polls as an agent does that reads an answer at once: status line, headers and body in one read of 512 bytes, and no chunks.
type pusher struct {
	t     *testing.T
	s     *rig.Server
	agent rig.User
	xid   string
	conn  net.Conn
}

func (p *pusher) ask(body string) string {
	p.t.Helper()
	host := strings.TrimPrefix(p.s.URL, "http://")
	if p.conn == nil {
		c, err := net.DialTimeout("tcp", host, 5*time.Second)
		if err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() { c.Close() })
		p.conn = c
	}
	_ = p.conn.SetDeadline(time.Now().Add(20 * time.Second))
	text := "POST /devicecontrol/notifications HTTP/1.1\r\nHost: " + host + "\r\nAuthorization: Basic " + base64.StdEncoding.EncodeToString([]byte(p.agent.Name+":"+p.agent.Password)) + "\r\nX-Id: " + p.xid +
		"\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
	if _, err := p.conn.Write([]byte(text)); err != nil {
		p.t.Fatal(err)
	}
	b := make([]byte, 512)
	n, err := p.conn.Read(b)
	if err != nil {
		p.t.Fatal(err)
	}
	head, answer, ok := strings.Cut(string(b[:n]), "\r\n\r\n")
	if !ok || !strings.HasPrefix(head, "HTTP/1.1 200") || strings.Contains(strings.ToLower(head), "chunked") {
		p.t.Fatalf("%q: %q", body, b[:n])
	}
	return answer
}

// TestAgentInPythonOverMQTT plays an agent that mixes static lines with a collection that it uploads by REST.
func TestAgentInPythonOverMQTT(t *testing.T) {
	s := rig.Start(t, rig.Options{})
	admin := s.Admin()
	const serial, collection = "dmagent01", "compat-dm-agent-v1.0"
	boot := rig.Device{Serial: serial, User: "management/devicebootstrap", Password: rig.BootstrapPassword}
	admin.Want(t, 201, "POST", "/devicecontrol/newDeviceRequests", map[string]string{"id": serial}, nil)
	c := s.Connect(t, boot)
	c.Publish("s/ucr", 0, false, "").Wait()
	if k := c.Subscribe("s/dcr", 0, nil); !k.WaitTimeout(10*time.Second) || k.Error() != nil {
		t.Fatal(k.Error())
	}
	c.Send(t, "s/ucr", "")
	admin.Want(t, 200, "PUT", "/devicecontrol/newDeviceRequests/"+serial, map[string]string{"status": "ACCEPTED"}, nil)
	c.Send(t, "s/ucr", "")
	got := strings.Split(c.Next(t, "s/dcr"), ",")
	if len(got) != 4 || got[0] != "70" {
		t.Fatalf("%q", got)
	}
	c.Disconnect(0)

	d := rig.Device{Serial: serial, User: got[1] + "/" + got[2], Password: got[3]}
	me := rig.User{URL: s.URL, Name: d.User, Password: d.Password}
	c = s.Connect(t, d, "s/e")
	if k := c.Publish("s/us", 2, false, "100,"+serial+",c8y_dm_agent"); !k.WaitTimeout(10*time.Second) || k.Error() != nil {
		t.Fatal(k.Error())
	}
	for _, line := range []string{"113,\"a=1\nb=2\"", "143,apt", "119,sshd,agent", "400,c8y_AgentStartEvent,Agent started", "118,agentlog", "114,c8y_Restart,c8y_Command,dm_Shell", "503,c8y_Restart,Restart Successful", "117,10",
		"110,SN1,Model,1.0", "115,debian-12,6.1,None"} {
		c.Send(t, "s/us", line)
	}
	me.Want(t, 404, "GET", "/identity/externalIds/c8y_SmartRest2DeviceIdentifier/"+collection, nil, nil)
	id := me.Create(t, "/inventory/managedObjects", json.RawMessage(`{"name":"dm","type":"c8y_SmartRest2Template","__externalId":"`+collection+`","com_cumulocity_model_smartrest_csv_CsvSmartRestTemplate":{
		"requestTemplates":[{"msgId":"dm100","name":"network","method":"PUT","api":"INVENTORY","response":false,"byId":false,"externalIdType":"c8y_Serial","mandatoryValues":[],
			"customValues":[{"path":"$.c8y_Network.c8y_LAN.ip","type":"STRING","value":null},{"path":"$.c8y_Network.c8y_LAN.name","type":"STRING","value":"eth0"}]}],
		"responseTemplates":[{"msgId":"dm502","name":"shell","base":"dm_Shell","condition":"dm_Shell","pattern":["text"]}]}}`))
	me.Want(t, 201, "POST", "/identity/globalIds/"+id+"/externalIds", map[string]string{"externalId": collection, "type": "c8y_SmartRest2DeviceIdentifier"}, nil)
	for _, topic := range []string{"s/ds", "s/dc/" + collection, "s/dat", "devicecontrol/notifications", "error"} {
		if k := c.Subscribe(topic, 1, nil); !k.WaitTimeout(10*time.Second) || k.Error() != nil {
			t.Fatal(k.Error())
		}
	}
	c.Send(t, "s/uc/"+collection, "dm100,"+serial+",192.0.2.7")
	var mo struct {
		ID          string
		C8y_Network struct {
			C8y_LAN struct{ IP, Name string } `json:"c8y_LAN"`
		}
		C8y_SupportedOperations []string
		C8y_Configuration       struct{ Config string }
	}
	var name struct{ ManagedObject struct{ ID string } }
	admin.Want(t, 200, "GET", "/identity/externalIds/c8y_Serial/"+serial, nil, &name)
	admin.Want(t, 200, "GET", "/inventory/managedObjects/"+name.ManagedObject.ID, nil, &mo)
	if mo.C8y_Network.C8y_LAN.IP != "192.0.2.7" || mo.C8y_Network.C8y_LAN.Name != "eth0" || len(mo.C8y_SupportedOperations) != 3 || mo.C8y_Configuration.Config != "a=1\nb=2" {
		t.Errorf("%+v", mo)
	}
	op := admin.Create(t, "/devicecontrol/operations", map[string]any{"deviceId": mo.ID, "dm_Shell": map[string]string{"text": "ls, \"all\""}})
	if got, want := c.Next(t, "s/dc/"+collection), `dm502,`+serial+`,"ls, \"all\""`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	delivered(t, admin, op)

	// A person edits the collection; the connection goes on.
	me.Want(t, 200, "PUT", "/inventory/managedObjects/"+id, json.RawMessage(`{"com_cumulocity_model_smartrest_csv_CsvSmartRestTemplate":{"requestTemplates":[],"responseTemplates":[{"msgId":"dm503","condition":"dm_Shell","base":"","pattern":["$.dm_Shell.text"]}]}}`), nil)
	rig.Eventually(t, "the edited collection is not used", func() bool {
		admin.Create(t, "/devicecontrol/operations", map[string]any{"deviceId": mo.ID, "dm_Shell": map[string]string{"text": "x"}})
		return c.Next(t, "s/dc/"+collection) == "dm503,"+serial+",x"
	})

	c.Send(t, "alarm/alarms/create", `{"type":"TestAlarm"}`)
	var e struct {
		Error, Message string
		MessageID      int
	}
	if err := json.Unmarshal([]byte(c.Next(t, "error")), &e); err != nil || e.Error != "undefined/validationError" || e.MessageID == 0 ||
		e.Message != "Following mandatory fields should be included: severity,text,time" {
		t.Errorf("%v %+v", err, e)
	}
}
