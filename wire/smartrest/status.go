package smartrest

import "github.com/isobar-iot/isobar/iot"

func pendingOperations(args) (Message, *LineError) { return PendingOperations{}, nil }

func startByFragment(a args) (Message, *LineError) {
	m := StatusByFragment{Fragment: a.need("fragment"), From: iot.Pending, To: iot.Executing}
	return m, a.err
}

func failByFragment(a args) (Message, *LineError) {
	m := StatusByFragment{Fragment: a.need("fragment"), From: iot.Executing, To: iot.Failed, Reason: a.text()}
	return m, a.err
}

func finishByFragment(a args) (Message, *LineError) {
	m := StatusByFragment{Fragment: a.need("fragment"), From: iot.Executing, To: iot.Successful, Params: a.results()}
	return m, a.err
}

func failAll(a args) (Message, *LineError) {
	m := StatusByFragment{Fragment: a.text(), From: iot.Executing, To: iot.Failed, Reason: a.text(), All: true}
	return m, a.err
}

func startByID(a args) (Message, *LineError) {
	m := StatusByID{ID: a.operationID(), To: iot.Executing}
	return m, a.err
}

func failByID(a args) (Message, *LineError) {
	m := StatusByID{ID: a.operationID(), To: iot.Failed, Reason: a.text()}
	return m, a.err
}

func finishByID(a args) (Message, *LineError) {
	m := StatusByID{ID: a.operationID(), To: iot.Successful, Params: a.results()}
	return m, a.err
}
