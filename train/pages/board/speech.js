// Speech by a Korean voice of this device alone: online voices would send the sentence to a vendor, and fail offline.

const synthesis = window.speechSynthesis;

/** The device's own Korean voice; null: it has none. */
export function localVoice() {
  const voices = synthesis ? synthesis.getVoices() : [];
  return voices.find((voice) => voice.localService && voice.lang.toLowerCase().startsWith("ko")) ?? null;
}

/** Say a text after what is being said, which no tap cuts off. Whether there is a voice for it. */
export function speak(text) {
  const voice = localVoice();
  if (!voice) return false;
  const utterance = new SpeechSynthesisUtterance(text);
  utterance.voice = voice;
  utterance.lang = voice.lang;
  synthesis.speak(utterance);
  return true;
}
