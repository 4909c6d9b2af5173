/**
 * Little stories from a grammar: somebody, something, somewhere, and what becomes of it.
 *
 * @module
 */
import type { Draw } from "./draw.ts";
import {
  animals,
  colours,
  homes,
  moods,
  objects,
  people,
  type Person,
  places,
  qualities,
  things,
  times,
} from "./lexicon.ts";

/** What a story keeps to from its first sentence to its last. */
interface Scene {
  readonly hero: Person;
  readonly friend: Person;
  readonly object: string;
  readonly colour: string;
  readonly quality: string;
  readonly animal: string;
  readonly place: string;
  readonly home: string;
  readonly time: string;
  readonly mood: string;
  readonly things: string;
  readonly count: number;
  readonly more: number;
}

type Sentence = (scene: Scene) => string;

const openings: readonly Sentence[] = [
  ({ hero, place, time }) => `One ${time}, ${hero.name} went to the ${place}.`,
  ({ hero, place, mood }) => `${hero.name} was ${mood} and walked to the ${place}.`,
  ({ hero, friend, place }) => `${hero.name} met ${friend.name} near the ${place}.`,
  ({ hero, animal, home }) => `${hero.name} had a ${animal} that slept in the ${home}.`,
  ({ hero, colour, object }) => `${hero.name} owned a ${colour} ${object}.`,
  ({ friend, hero, time }) => `In the ${time}, ${friend.name} came to see ${hero.name}.`,
];

const middles: readonly Sentence[] = [
  ({ hero, quality, object }) => `There ${hero.subject} saw a ${quality} ${object}.`,
  ({ hero, colour, object, place }) =>
    `${hero.name} found the ${colour} ${object} behind the ${place}.`,
  ({ hero, friend, object }) => `${hero.name} showed the ${object} to ${friend.name}.`,
  ({ friend, quality, object }) => `"What a ${quality} ${object}!" said ${friend.name}.`,
  ({ animal, colour, place }) => `A ${colour} ${animal} sat by the ${place} and watched.`,
  ({ animal, hero }) => `The ${animal} followed ${hero.object} all the way.`,
  ({ hero, friend, things, count }) =>
    `${hero.name} had ${count} ${things} in ${hero.possessive} bag, and ${friend.name} had none.`,
  ({ hero, things, count, more }) =>
    `${hero.name} counted ${count} ${things}, then ${more} more, which made ${count + more}.`,
  ({ hero, home, time }) => `It was a cold ${time}, so ${hero.subject} went back to the ${home}.`,
  ({ friend, object }) => `But ${friend.name} did not want the ${object}.`,
  ({ hero, friend, place }) => `${friend.name} asked ${hero.object} about the ${place}.`,
  ({ hero, object, home }) => `So ${hero.subject} put the ${object} into the ${home}.`,
  ({ hero, mood }) => `That made ${hero.object} ${mood}.`,
  ({ friend, hero, animal }) => `${friend.name} gave ${hero.object} a little ${animal}.`,
  ({ object, quality, colour }) => `The ${object} was ${quality} and ${colour}.`,
  ({ hero, friend, object }) => `${friend.name} helped ${hero.name} to carry the ${object}.`,
];

const endings: readonly Sentence[] = [
  ({ hero, mood }) => `In the end, ${hero.name} was ${mood}.`,
  ({ hero, friend, home }) => `Then ${hero.name} and ${friend.name} went to the ${home} together.`,
  ({ hero, object }) => `${hero.name} kept the ${object} for a long time.`,
  ({ friend, object }) => `After that, ${friend.name} always looked for another ${object}.`,
  ({ animal, hero }) => `From then on, the ${animal} stayed with ${hero.name}.`,
  ({ hero, place, time }) => `Every ${time}, ${hero.subject} came back to the ${place}.`,
];

/** A story of five to eight sentences about one scene. */
export function story(draw: Draw): string {
  const scene = drawScene(draw);
  const sentences = [
    draw.pick(openings),
    ...draw.several(draw.integer(3, 6), middles),
    draw.pick(endings),
  ];
  return sentences.map((sentence) => sentence(scene)).join(" ");
}

function drawScene(draw: Draw): Scene {
  const [hero, friend] = draw.several(2, people);
  return {
    hero,
    friend,
    place: draw.pick(places),
    home: draw.pick(homes),
    object: draw.pick(objects),
    colour: draw.pick(colours),
    quality: draw.pick(qualities),
    animal: draw.pick(animals),
    time: draw.pick(times),
    mood: draw.pick(moods),
    things: draw.pick(things),
    count: draw.integer(2, 20),
    more: draw.integer(2, 9),
  };
}
