// Letters of the on-screen keyboard put together to syllables: ㅁ ㅜ ㄹ → 물.

const LEADS = [..."ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"];
const VOWELS = [..."ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"];
const CODAS = ["", ..."ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"];
const PAIRS = {
  ㅗㅏ: "ㅘ", ㅗㅐ: "ㅙ", ㅗㅣ: "ㅚ", ㅜㅓ: "ㅝ", ㅜㅔ: "ㅞ", ㅜㅣ: "ㅟ", ㅡㅣ: "ㅢ",
  ㄱㅅ: "ㄳ", ㄴㅈ: "ㄵ", ㄴㅎ: "ㄶ", ㄹㄱ: "ㄺ", ㄹㅁ: "ㄻ", ㄹㅂ: "ㄼ", ㄹㅅ: "ㄽ", ㄹㅌ: "ㄾ", ㄹㅍ: "ㄿ", ㄹㅎ: "ㅀ",
  ㅂㅅ: "ㅄ",
};
const APART = Object.fromEntries(Object.entries(PAIRS).map(([two, one]) => [one, [...two]]));
const BASE = 0xac00;

/** The letters of a text, as they are typed one by one. */
export function letters(text) {
  return [...text].flatMap((sign) => {
    const code = sign.codePointAt(0) - BASE;
    if (code < 0 || code >= 11172) return APART[sign] ?? [sign];
    const parts = [LEADS[Math.floor(code / 588)], VOWELS[Math.floor((code % 588) / 28)], CODAS[code % 28]];
    return parts.filter(Boolean).flatMap((part) => APART[part] ?? [part]);
  });
}

/** Typed letters as a text. */
export function composed(typed) {
  let text = "";
  let [lead, vowel, coda] = ["", "", ""];
  const flush = () => {
    if (lead && vowel) {
      const code = BASE + LEADS.indexOf(lead) * 588 + VOWELS.indexOf(vowel) * 28 + CODAS.indexOf(coda);
      text += String.fromCodePoint(code);
    } else text += lead + vowel;
    [lead, vowel, coda] = ["", "", ""];
  };
  for (const letter of typed) {
    if (VOWELS.includes(letter)) {
      if (coda) {
        // The last consonant was the lead of this syllable: 물 + ㅓ → 무러.
        const [stays, goes] = APART[coda] ?? ["", coda];
        coda = stays;
        flush();
        lead = goes;
        vowel = letter;
      } else if (vowel && PAIRS[vowel + letter]) vowel = PAIRS[vowel + letter];
      else {
        if (vowel) flush();
        vowel = letter;
      }
    } else if (LEADS.includes(letter)) {
      if (lead && vowel && !coda && CODAS.includes(letter)) coda = letter;
      else if (coda && PAIRS[coda + letter]) coda = PAIRS[coda + letter];
      else {
        flush();
        lead = letter;
      }
    } else {
      flush();
      text += letter;
    }
  }
  flush();
  return text;
}

/** Rows of the keyboard. */
export const KEYS = ["ㅂㅈㄷㄱㅅㅃㅉㄸㄲㅆ", "ㅁㄴㅇㄹㅎㅋㅌㅊㅍ", "ㅏㅑㅓㅕㅗㅛㅜㅠㅡㅣ", "ㅐㅔㅒㅖ.?!,~"].map((keys) => [...keys]);
