/* api.h - the handlers of the routes, one file a resource. A handler is called with a caller whom the rule lets in and with values
 * that fit the table; it writes the answer's body, or refuses.
 */
#ifndef SERVER_API_H
#define SERVER_API_H

#include "../rest.h"

void api_health(const services* known, const rest_request* request, rest_answer* answer);
void api_metrics(const services* known, const rest_request* request, rest_answer* answer);
void api_game(const services* known, const rest_request* request, rest_answer* answer);
void api_connect_tokens(const services* known, const rest_request* request, rest_answer* answer);
void api_analysis_traffic(const services* known, const rest_request* request, rest_answer* answer);
void api_analysis_connections(const services* known, const rest_request* request, rest_answer* answer);
void api_analysis_routes(const services* known, const rest_request* request, rest_answer* answer);
void api_analysis_capacity(const services* known, const rest_request* request, rest_answer* answer);
void api_health_batch(const services* known, const rest_request* request, rest_answer* answer);
void api_connections(const services* known, const rest_request* request, rest_answer* answer);
void api_connection(const services* known, const rest_request* request, rest_answer* answer);
void api_connection_close(const services* known, const rest_request* request, rest_answer* answer);
void api_connection_subscribe(const services* known, const rest_request* request, rest_answer* answer);
void api_connection_unsubscribe(const services* known, const rest_request* request, rest_answer* answer);
void api_udp_connect(const services* known, const rest_request* request, rest_answer* answer);
void api_tokens_rotate(const services* known, const rest_request* request, rest_answer* answer);
void api_tokens_revoke(const services* known, const rest_request* request, rest_answer* answer);
void api_service_tokens(const services* known, const rest_request* request, rest_answer* answer);
void api_admin_drain(const services* known, const rest_request* request, rest_answer* answer);
void api_admin_configuration(const services* known, const rest_request* request, rest_answer* answer);
void api_admin_audit(const services* known, const rest_request* request, rest_answer* answer);
void api_admin_token_epoch(const services* known, const rest_request* request, rest_answer* answer);
void api_player_data(const services* known, const rest_request* request, rest_answer* answer);
void api_player_data_erase(const services* known, const rest_request* request, rest_answer* answer);
void api_crafting_sessions(const services* known, const rest_request* request, rest_answer* answer);
void api_crafting_begin(const services* known, const rest_request* request, rest_answer* answer);
void api_crafting_session(const services* known, const rest_request* request, rest_answer* answer);
void api_crafting_pause(const services* known, const rest_request* request, rest_answer* answer);
void api_crafting_resume(const services* known, const rest_request* request, rest_answer* answer);
void api_crafting_cancel(const services* known, const rest_request* request, rest_answer* answer);
void api_crafting_queue(const services* known, const rest_request* request, rest_answer* answer);
void api_udp_progress(const services* known, const rest_request* request, rest_answer* answer);
void api_udp_materials(const services* known, const rest_request* request, rest_answer* answer);
void api_voice_channels(const services* known, const rest_request* request, rest_answer* answer);
void api_voice_channel_create(const services* known, const rest_request* request, rest_answer* answer);
void api_voice_channel(const services* known, const rest_request* request, rest_answer* answer);
void api_voice_channel_change(const services* known, const rest_request* request, rest_answer* answer);
void api_voice_channel_delete(const services* known, const rest_request* request, rest_answer* answer);
void api_voice_channel_join(const services* known, const rest_request* request, rest_answer* answer);
void api_voice_channel_leave(const services* known, const rest_request* request, rest_answer* answer);
void api_voice_channel_invite(const services* known, const rest_request* request, rest_answer* answer);
void api_voice_channel_signal(const services* known, const rest_request* request, rest_answer* answer);
void api_voice_participants(const services* known, const rest_request* request, rest_answer* answer);
void api_voice_participant_change(const services* known, const rest_request* request, rest_answer* answer);
void api_voice_participant_expel(const services* known, const rest_request* request, rest_answer* answer);
void api_voice_quality_report(const services* known, const rest_request* request, rest_answer* answer);
void api_ice_servers(const services* known, const rest_request* request, rest_answer* answer);
void api_audio_streams(const services* known, const rest_request* request, rest_answer* answer);
void api_audio_stream_create(const services* known, const rest_request* request, rest_answer* answer);
void api_audio_stream(const services* known, const rest_request* request, rest_answer* answer);
void api_audio_stream_close(const services* known, const rest_request* request, rest_answer* answer);
void api_audio_participants(const services* known, const rest_request* request, rest_answer* answer);
void api_audio_participant_add(const services* known, const rest_request* request, rest_answer* answer);
void api_presence(const services* known, const rest_request* request, rest_answer* answer);
void api_presence_set(const services* known, const rest_request* request, rest_answer* answer);
void api_presence_friends(const services* known, const rest_request* request, rest_answer* answer);
void api_openapi(const services* known, const rest_request* request, rest_answer* answer);
void api_docs(const services* known, const rest_request* request, rest_answer* answer);
void api_files(const services* known, const rest_request* request, rest_answer* answer);

#endif
