/* voice_seed - the JavaScript that the signalling service's description gives to games, letter for letter. */
export const SEED = `// Join voice channel
const response = await fetch('/api/v1/voice-channels/channel-123/join', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ user_id: 'user-456' })
});

// WebRTC signaling
const signalingResponse = await fetch('/api/v1/voice-channels/channel-123/signal', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({
        type: 'offer',
        from_user_id: 'user-456',
        to_user_id: 'user-789',
        channel_id: 'channel-123',
        offer: { type: 'offer', sdp: localDescription.sdp }
    })
});`;
