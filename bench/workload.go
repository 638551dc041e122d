package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime/multipart"
	"net/textproto"
)

// predictName names the workload of uploads.
const predictName = "predict"

const (
	predictDocument = `mutation ($image: Upload!) { predict(image: $image) { id likelyClass { name confidence } } }`
	listDocument    = `query ($first: Int!) { predictions(first: $first) {
  nodes { id createdAt likelyClass { name confidence } input { id filename } } } }`
)

// predictWorkload uploads the pictures in turn, as the GraphQL multipart request specification says.
func predictWorkload(host string, pictures []picture) (workload, error) {
	operations, err := json.Marshal(map[string]any{
		"query": predictDocument, "variables": map[string]any{"image": nil},
	})
	if err != nil {
		return workload{}, err
	}
	fields := []field{{"operations", operations}, {"map", []byte(`{"0":["variables.image"]}`)}}
	w := workload{name: predictName, verify: verifyPrediction}
	for _, p := range pictures {
		body, contentType, err := multipartBody(fields, "0", p)
		if err != nil {
			return workload{}, err
		}
		headers := []string{"GraphQL-Require-Preflight: true"}
		w.requests = append(w.requests, postRequest(host, "/graphql", contentType, headers, body))
	}
	return w, nil
}

// peerWorkload uploads the pictures to the peer's own endpoint.
func peerWorkload(host string, pictures []picture) (workload, error) {
	w := workload{name: predictName, verify: verifyPeer}
	for _, p := range pictures {
		body, contentType, err := multipartBody(nil, "image", p)
		if err != nil {
			return workload{}, err
		}
		w.requests = append(w.requests, postRequest(host, "/predict", contentType, nil, body))
	}
	return w, nil
}

// listWorkload asks for the newest predictions, each with its input.
func listWorkload(host string, first int) (workload, error) {
	body, err := json.Marshal(map[string]any{"query": listDocument, "variables": map[string]any{"first": first}})
	if err != nil {
		return workload{}, err
	}
	return workload{
		name:     fmt.Sprintf("predictions(first: %d)", first),
		requests: [][]byte{postRequest(host, "/graphql", "application/json", nil, body)},
		verify:   func(status int, body []byte) error { return verifyList(status, body, first) },
	}, nil
}

// field is a part of a form that is no file.
type field struct {
	name  string
	value []byte
}

func multipartBody(fields []field, fileField string, p picture) (body []byte, contentType string, err error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range fields {
		if err := w.WriteField(f.name, string(f.value)); err != nil {
			return nil, "", err
		}
	}
	part, err := w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {fmt.Sprintf(`form-data; name=%q; filename=%q`, fileField, p.filename)},
		"Content-Type":        {"image/png"},
	})
	if err != nil {
		return nil, "", err
	}
	_, err = part.Write(p.png)
	err = errors.Join(err, w.Close())
	return b.Bytes(), w.FormDataContentType(), err
}

// The answers are checked by looking for bytes, which costs the generator next to nothing; the servers write JSON
// without spaces.

func verifyPrediction(status int, body []byte) error {
	if status != 200 || bytes.Contains(body, []byte(`"errors"`)) ||
		!bytes.Contains(body, []byte(`"id":"prediction_`)) || !bytes.Contains(body, []byte(`"confidence":`)) {
		return wrongAnswer(status, body)
	}
	return nil
}

func verifyPeer(status int, body []byte) error {
	if status != 200 || !bytes.HasPrefix(body, []byte(`{"id":"`)) || !bytes.Contains(body, []byte(`"confidence":`)) {
		return wrongAnswer(status, body)
	}
	return nil
}

func verifyList(status int, body []byte, rows int) error {
	if status != 200 || bytes.Contains(body, []byte(`"errors"`)) ||
		bytes.Count(body, []byte(`"id":"prediction_`)) != rows || bytes.Count(body, []byte(`"id":"input_`)) != rows {
		return wrongAnswer(status, body)
	}
	return nil
}

func wrongAnswer(status int, body []byte) error {
	return fmt.Errorf("wrong answer: status %d, %.300s", status, body)
}
