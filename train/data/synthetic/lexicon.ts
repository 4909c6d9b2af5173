/**
 * The words of the generated texts.
 *
 * @module
 */

/** Somebody with the pronouns for them. */
export interface Person {
  /** Given name. */
  readonly name: string;
  /** As the subject of a sentence. */
  readonly subject: "she" | "he";
  /** As its object. */
  readonly object: "her" | "him";
  /** For what belongs to them. */
  readonly possessive: "her" | "his";
}

const women = ["Mia", "Anna", "Lena", "Ruth", "Nora", "Ida", "Zoe", "Clara", "Eva", "Rosa"];
const men = ["Tom", "Ben", "Max", "Sam", "Leo", "Paul", "Omar", "Finn", "Hugo", "Noah"];

/** Everybody. */
export const people: readonly Person[] = [
  ...women.map((name) => ({ name, subject: "she", object: "her", possessive: "her" }) as const),
  ...men.map((name) => ({ name, subject: "he", object: "him", possessive: "his" }) as const),
];

/** Things to have several of. */
export const things: readonly string[] = [
  "apples",
  "books",
  "coins",
  "stones",
  "shells",
  "cards",
  "pears",
  "buttons",
  "stamps",
  "nuts",
  "cups",
  "keys",
];

/** Things to have one of. */
export const objects: readonly string[] = [
  "box",
  "lamp",
  "rope",
  "map",
  "bell",
  "kite",
  "drum",
  "boat",
  "hat",
  "ring",
  "basket",
  "mirror",
  "clock",
  "letter",
  "blanket",
  "bottle",
];

/** Colours. */
export const colours: readonly string[] = ["red", "blue", "green", "white", "black", "yellow"];

/** What else an object can be. */
export const qualities: readonly string[] = [
  "small",
  "new",
  "heavy",
  "shiny",
  "broken",
  "strange",
  "pretty",
  "dusty",
];

/** Animals. */
export const animals: readonly string[] = [
  "cat",
  "dog",
  "bird",
  "fox",
  "horse",
  "mouse",
  "goat",
  "duck",
  "rabbit",
  "hen",
];

/** Where things happen. */
export const places: readonly string[] = [
  "river",
  "garden",
  "market",
  "forest",
  "school",
  "bridge",
  "harbour",
  "kitchen",
  "station",
  "hill",
  "field",
  "library",
];

/** Where things are kept. */
export const homes: readonly string[] = [
  "house",
  "barn",
  "cellar",
  "shed",
  "tent",
  "cabin",
  "attic",
  "tower",
];

/** When things happen. */
export const times: readonly string[] = [
  "morning",
  "evening",
  "summer",
  "winter",
  "autumn",
  "spring",
];

/** How people feel. */
export const moods: readonly string[] = [
  "happy",
  "sad",
  "tired",
  "proud",
  "afraid",
  "calm",
  "angry",
  "curious",
];
