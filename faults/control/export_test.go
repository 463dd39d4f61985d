package control

// Routes returns method and path of each request that is answered.
func Routes() (list [][2]string) {
	for _, r := range routes {
		list = append(list, [2]string{r.method, r.path})
	}
	return list
}

// Bodies are the requests and answers by their names in openapi.json.
func Bodies() map[string]any {
	return map[string]any{
		"LevelRequest": levelRequest{}, "AddRequest": addRequest{}, "NameRequest": nameRequest{}, "EnableRequest": enableRequest{},
		"PowerRequest": powerRequest{}, "Error": errorBody{},
	}
}

// EventRoom is how many events wait for a client.
const EventRoom = eventRoom
